"""Voices: (text, voice) -> clean speech with the time of every word. Levels, rooms and noise are added elsewhere.

hibari predicts a spectrum and a pitch curve, which are bent here before they become sound: pitch and formants move
independently, so its one voice gives many speakers. Another synthesiser is one more row in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from hibari import Hibari, dsp
from hibari.voices import voice_path

from duplex.turns import ENERGY_HOP_SAMPLES, levels_db
from weights.intents import Split
from weights.phones import class_of

WHISPERED = 0.0  # a pitch: no vocal folds, breath alone
PITCHES = (0.5, 0.58, 0.66, 0.74, 0.82, 0.9, 1.1, 1.2, 1.32, 1.45)  # times the agent's
FORMANTS = (0.82, 0.87, 0.92, 0.97, 1.03, 1.08, 1.13, 1.18)
SPEEDS = (0.8, 0.9, 1.0, 1.12, 1.25)

_AUDIBLE_DBFS = -50.0  # of a 10 ms hop
_DURATION_SAMPLES = 600  # one unit of hibari's duration predictor, 25 ms
_DURATIONS = "/Round_output_0"  # the tensor inside its graph that holds them


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks. The factors are relative to the engine's own voice; what an engine cannot do it leaves alone."""

    engine: str = "hibari"
    speed: float = 1.0
    pitch: float = 1.0
    formant: float = 1.0


AGENT = Voice()


class Word(NamedTuple):
    """A word of the text, spoken in [begin, end), in samples."""

    text: str
    begin: int
    end: int


class Phone(NamedTuple):
    """A sound of `weights.phones`, made in [begin, end), in samples."""

    kind: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Speech without silence around it: float32 [n] at 24 kHz, and its words, one for each of text.split()."""

    pcm: np.ndarray
    words: tuple[Word, ...]
    phones: tuple[Phone, ...] = ()  # in order, without overlap; () where the engine does not tell


class Speaker(Protocol):
    """A synthesiser. The same arguments give the same samples."""

    def speak(self, text: str, voice: Voice, seed: int) -> Clip: ...


def voices(split: Split) -> list[Voice]:
    """All user voices of a split. A held-out pair of pitch and formant is held out at every speed."""
    pairs = product(enumerate(PITCHES), enumerate(FORMANTS))
    bodies = [(p, f) for (i, p), (j, f) in pairs if ((i + 2 * j) % 5 == 0) == (split == "test")]
    return [Voice("hibari", speed, pitch, formant) for (pitch, formant), speed in product(bodies, SPEEDS)]


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


def trimmed(pcm: np.ndarray, words: list[Word], phones: list[Phone]) -> tuple[Clip, int]:
    """From the first audible hop to the last -> (clip, the first sample). Raises ValueError when nothing is audible."""
    audible = np.flatnonzero(levels_db(pcm) > _AUDIBLE_DBFS) * ENERGY_HOP_SAMPLES
    if not len(audible):
        raise ValueError("the clip is silent")
    begin, end = int(audible[0]), int(audible[-1]) + ENERGY_HOP_SAMPLES

    def inside(at: int) -> int:
        return min(max(at - begin, 0), end - begin)

    spoken = tuple(Word(w, inside(b), inside(e)) for w, b, e in words)
    sounds = tuple(Phone(k, inside(b), inside(e)) for k, b, e in phones)
    return Clip(pcm[begin:end].astype(np.float32), spoken, sounds), begin


ENGINES: dict[str, Callable[[], Speaker]] = {"hibari": HibariSpeaker}


@cache
def speaker(engine: str) -> Speaker:
    """The engine by name, loaded once. Raises KeyError."""
    return ENGINES[engine]()
