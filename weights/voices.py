"""Voices: (text, voice) -> clean speech with the time of every word. Levels, rooms and noise are added elsewhere.

hibari predicts a spectrum and a pitch curve, which are bent here before they become sound: pitch and formants move
independently, so its one voice gives many speakers. Another synthesiser is one more row in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from hibari import Hibari, dsp
from hibari.voices import voice_path

from weights.flite import FliteSpeaker
from weights.intents import Split
from weights.phones import class_of
from weights.speech import WHISPERED, Clip, NoEngine, Phone, Speaker, Voice, Word, trimmed

__all__ = [
    "AGENT",
    "ENGINES",
    "WHISPERED",
    "Clip",
    "NoEngine",
    "Phone",
    "Speaker",
    "Voice",
    "Word",
    "speaker",
    "voices",
]

PITCHES = (0.5, 0.58, 0.66, 0.74, 0.82, 0.9, 1.1, 1.2, 1.32, 1.45)  # times the agent's
FORMANTS = (0.82, 0.87, 0.92, 0.97, 1.03, 1.08, 1.13, 1.18)
SPEEDS = (0.8, 0.9, 1.0, 1.12, 1.25)
FLITE_PITCHES = (0.75, 0.87, 1.0, 1.15, 1.3)
BENDS = (0.87, 0.93, 1.0, 1.08, 1.16)  # of the whole sound, where formants cannot be moved by themselves
DEFAULT = ("hibari",)  # what the project itself depends on
SHARES = {"hibari": 55, "flite": 30}

_DURATION_SAMPLES = 600  # one unit of hibari's duration predictor, 25 ms
_DURATIONS = "/Round_output_0"  # the tensor inside its graph that holds them


AGENT = Voice()


def voices(split: Split, engines: Iterable[str] = DEFAULT) -> list[Voice]:
    """The user voices of a split, to be drawn from evenly: an engine that has few is listed as often as its SHARES say.

    Raises ValueError for an unknown engine, NoEngine for one that is not installed: other voices would be other data.
    """
    wanted = dict.fromkeys(engines)
    if unknown := wanted.keys() - ENGINES.keys():
        raise ValueError(f"there is no engine {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    for engine in wanted.keys() - set(DEFAULT):
        speaker(engine)
    lists = {engine: _VOICES[engine](split) for engine in wanted}
    most = max(len(own) / SHARES[engine] for engine, own in lists.items())
    return [v for engine, own in lists.items() for v in own * max(1, round(most * SHARES[engine] / len(own)))]


def _hibari(split: Split) -> list[Voice]:
    """A held-out pair of pitch and formant is held out at every speed."""
    pairs = product(enumerate(PITCHES), enumerate(FORMANTS))
    bodies = [(p, f) for (i, p), (j, f) in pairs if ((i + 2 * j) % 5 == 0) == (split == "test")]
    return [Voice("hibari", speed, pitch, formant) for (pitch, formant), speed in product(bodies, SPEEDS)]


def _flite(split: Split) -> list[Voice]:
    """Whole people are held out. rms has one pitch, which bends with the sound."""
    if split == "test":
        pairs = [("kal16", p, f) for p, f in product(FLITE_PITCHES, BENDS)]
        pairs += [("rms", f, f) for f in BENDS] * len(FLITE_PITCHES)
    else:
        pairs = [(base, p, f) for base, p, f in product(("awb", "slt", "kal"), FLITE_PITCHES, BENDS)]
    return [Voice("flite", speed, p, f, base) for (base, p, f), speed in product(pairs, SPEEDS)]


class HibariSpeaker:
    """hibari-tts, about 100 times faster than real time on one core."""

    def __init__(self) -> None:
        model = Path(voice_path("heart")).read_bytes()
        self._hibari = Hibari(model=model + _as_output(_DURATIONS))  # type: ignore[arg-type]  # onnxruntime takes bytes

    def speak(self, text: str, voice: Voice, seed: int) -> Clip:
        """Raises ValueError when nothing in the text can be pronounced."""
        return self.pair(text, voice, seed)[0]

    def pair(self, text: str, voice: Voice, seed: int, target: Voice | None = None) -> tuple[Clip, np.ndarray]:
        """The text by `voice`, and by `target` with the very same timing, float32 [n] both; the former where None.

        Raises ValueError when nothing in the text can be pronounced.
        """
        rng = np.random.default_rng(seed)
        heard: list[np.ndarray] = []
        meant: list[np.ndarray] = []
        words: list[Word] = []
        phones: list[Phone] = []
        at = 0
        for sentence in Hibari.split_sentences(text):
            spectrum, letters, ends = self._predicted(sentence, voice.speed)
            heard.append(_sound(spectrum, voice, rng))
            meant.append(heard[-1] if target is None else _sound(spectrum, target, np.random.default_rng(0)))
            words += [Word(w, at + b, at + e) for w, b, e in _words(sentence.split(), letters, ends)]
            phones += [Phone(k, at + b, at + e) for k, b, e in _phones(letters, ends)]
            at += len(heard[-1])
        if not heard:
            raise ValueError(f"nothing to say in {text!r}")
        clip, first = trimmed(np.concatenate(heard), words, phones)
        return clip, np.concatenate(meant)[first : first + len(clip.pcm)].astype(np.float32)

    def words_and_sounds(self, sentence: str) -> tuple[Sequence[str], Sequence[str]]:
        """The written words and the phonemes of the spoken ones; equal in number where timing is exact."""
        sounds: str = " ".join(self._hibari.phonemize(sentence))
        return sentence.split(" "), sounds.split(" ")

    def _predicted(self, sentence: str, speed: float) -> tuple[list[np.ndarray], list[str], np.ndarray]:
        """(spectrum, its letters, where each id ends in samples): id 0 is the silence before."""
        phonemes = " ".join(self._hibari.phonemize(sentence))
        feeds = {"ids": np.array([self._hibari.ids(phonemes)]), "speed": np.array([speed], np.float32)}
        outputs: list[Any] = list(self._hibari.sess.run(None, feeds))
        *spectrum, durations = outputs
        letters = [c for c in phonemes if c in self._hibari.vocab]
        return [part[0] for part in spectrum], letters, np.cumsum(durations) * _DURATION_SAMPLES


def _as_output(tensor: str) -> bytes:
    """Bytes that, appended to an ONNX model, name one of its inner tensors as a further output.

    Protobuf merges repeated messages: this is ModelProto{graph{output{name}}}.
    """
    message = tensor.encode()
    for tag in (b"\x0a", b"\x62", b"\x3a"):  # ValueInfoProto.name, GraphProto.output, ModelProto.graph
        message = tag + bytes([len(message)]) + message
    return message


def _sound(spectrum: list[np.ndarray], voice: Voice, rng: np.random.Generator) -> np.ndarray:
    harmonic, phase, noise, residual, free_phase, f0 = spectrum  # [601, F] each, log magnitudes; f0 [F] Hz
    if voice.formant != 1.0:
        harmonic, noise, residual = (_warped(part, voice.formant) for part in (harmonic, noise, residual))
    if voice.pitch == WHISPERED:
        noise, residual = np.logaddexp(noise, harmonic), residual - 4.0
    elif voice.pitch != 1.0:
        residual = residual - 1.0  # it carries harmonics of the old pitch
    pitched = (f0 * voice.pitch).astype(np.float32)
    return dsp.synth(harmonic, phase, noise, residual, free_phase, pitched, rng)


def _warped(part: np.ndarray, factor: float) -> np.ndarray:
    """[bins, F] with every bin moved to `factor` times its frequency."""
    source = np.arange(len(part)) / factor
    low = np.minimum(source.astype(int), len(part) - 2)
    share = np.clip(source - low, 0, 1).astype(np.float32)[:, None]
    return part[low] * (1 - share) + part[low + 1] * share


def _words(written: list[str], phonemes: list[str], ends: np.ndarray) -> list[Word]:
    """Word times from the end of every id; id 0 is the silence before, the last id the silence after."""
    spaces = [-1, *(i for i, c in enumerate(phonemes) if c == " "), len(phonemes)]
    spoken = [(a + 1, b) for a, b in pairwise(spaces)]  # phonemes [a, b)
    out = []
    for i, word in enumerate(written):
        first = spoken[i * len(spoken) // len(written)]
        last = spoken[max(i * len(spoken) // len(written), (i + 1) * len(spoken) // len(written) - 1)]
        letters = [k for k in range(first[0], last[1]) if phonemes[k] not in ",.;:!? "]
        begin, end = (letters[0], letters[-1]) if letters else (first[0], first[0])
        out.append(Word(word, int(ends[begin]), int(ends[end + 1])))
    return out


def _phones(letters: list[str], ends: np.ndarray) -> list[Phone]:
    """What is no sound itself (stress, length) lengthens the sound before it; a space or a comma is silence."""
    out: list[Phone] = []
    for i, letter in enumerate(letters):
        begin, end = int(ends[i]), int(ends[i + 1])
        kind = class_of(letter)
        if kind is not None:
            out.append(Phone(kind, begin, end))
        elif letter == "ː" and out:
            out[-1] = out[-1]._replace(end=end)
    return out


ENGINES: dict[str, Callable[[], Speaker]] = {"hibari": HibariSpeaker, "flite": FliteSpeaker}
_VOICES: dict[str, Callable[[Split], list[Voice]]] = {"hibari": _hibari, "flite": _flite}


@cache
def speaker(engine: str) -> Speaker:
    """The engine by name, loaded once. Raises KeyError, and NoEngine when it is not installed."""
    return ENGINES[engine]()
