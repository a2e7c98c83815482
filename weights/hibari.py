"""hibari-tts as a speaker: one voice, bent into many.

It predicts a spectrum and a pitch curve, which are bent here before they become sound: pitch and formants move
independently. The same prediction can be spoken by two voices, sample for sample at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hibari import Hibari, dsp
from hibari.voices import voice_path

from weights import timing
from weights.graph import as_input, as_output
from weights.speech import WHISPERED, Clip, Voice, trimmed

_DURATION_SAMPLES = 600  # one unit of its duration predictor, 25 ms
_AHEAD_UNITS = 2  # a letter sounds that much before the durations say, in hibari and in Kokoro (docs/LOG.md)
_DURATIONS = "/Round_output_0"  # the tensor inside its graph that holds them


class HibariSpeaker:
    """hibari-tts, about 100 times faster than real time on one core."""

    def __init__(self) -> None:
        model = Path(voice_path("heart")).read_bytes()
        self._hibari = Hibari(model=model + as_output(_DURATIONS))  # type: ignore[arg-type]  # onnxruntime takes bytes

    def speak(self, text: str, voice: Voice, seed: int) -> Clip:
        """Raises ValueError when nothing in the text can be pronounced."""
        return self.pair(text, voice, seed)[0]

    def pair(self, text: str, voice: Voice, seed: int, target: Voice | None = None) -> tuple[Clip, np.ndarray]:
        """The text by `voice`, and by `target` with the very same timing, float32 [n] both; the former where None.

        Raises ValueError when nothing in the text can be pronounced.
        """
        rng = np.random.default_rng(seed)
        said, followed = [], []
        for sentence in Hibari.split_sentences(text):
            spectrum, letters, ends = self._predicted(sentence, voice.speed)
            said.append(timing.Sentence(sentence, letters, ends, _sound(spectrum, voice, rng)))
            followed.append(said[-1].pcm if target is None else _sound(spectrum, target, np.random.default_rng(0)))
        clip, first = trimmed(*timing.joined(said))
        return clip, np.concatenate(followed)[first : first + len(clip.pcm)].astype(np.float32)

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
        return [part[0] for part in spectrum], letters, letter_ends(durations)


def letter_ends(durations: np.ndarray) -> np.ndarray:
    """Durations [L] in units -> where each letter's sound ends, in samples; the silence before is letter 0."""
    return np.maximum(np.cumsum(durations) - _AHEAD_UNITS, 0) * _DURATION_SAMPLES


class Follower:
    """hibari's voice that dwells on each letter as long as it is told."""

    UNIT_SAMPLES = _DURATION_SAMPLES

    def __init__(self) -> None:
        model = as_input(Path(voice_path("heart")).read_bytes(), _DURATIONS)
        self._session = Hibari(model=model).sess  # type: ignore[arg-type]  # onnxruntime takes bytes

    def say(self, ids: np.ndarray, durations: np.ndarray, voice: Voice) -> np.ndarray:
        """ids [1, L], durations [L] in units -> float32 [sum of durations in samples]."""
        feeds = {"ids": ids, "speed": np.ones(1, np.float32), _DURATIONS: durations.astype(np.float32)}
        outputs: list[Any] = list(self._session.run(None, feeds))
        pcm = _sound([part[0] for part in outputs], voice, np.random.default_rng(0))
        return pcm[: int(durations.sum()) * _DURATION_SAMPLES].astype(np.float32)


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
