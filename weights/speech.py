"""What every synthesiser is given and gives back: Voice -> Clip. And what is done to the sound, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.signal import resample_poly

from duplex.frame import SAMPLE_RATE
from duplex.turns import ENERGY_HOP_SAMPLES, levels_db

WHISPERED = 0.0  # a pitch: no vocal folds, breath alone

AUDIBLE_DBFS = -50.0  # of a 10 ms hop


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks. The factors are relative to the engine's own voice; what an engine cannot do it leaves alone."""

    engine: str = "hibari"
    speed: float = 1.0
    pitch: float = 1.0
    formant: float = 1.0
    base: str = ""  # the engine's own voice, where it has several


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


@runtime_checkable
class Pairing(Speaker, Protocol):
    """A synthesiser after which the agent can say the same at the same moments."""

    def pair(self, text: str, voice: Voice, seed: int, target: Voice | None = None) -> tuple[Clip, np.ndarray]: ...


class NoEngine(Exception):
    """A synthesiser is not installed; the message says how to install it."""


def resampled(pcm: np.ndarray, rate: int, bend: float = 1.0) -> np.ndarray:
    """float [n] at `rate` Hz -> float32 at 24 kHz, pitch and formants `bend` times higher, as many times shorter."""
    ratio = Fraction(SAMPLE_RATE / (rate * bend)).limit_denominator(200)
    return resample_poly(pcm, ratio.numerator, ratio.denominator).astype(np.float32)


def trimmed(pcm: np.ndarray, words: list[Word], phones: list[Phone]) -> tuple[Clip, int]:
    """From the first audible hop to the last -> (clip, the first sample). Raises ValueError when nothing is audible."""
    audible = np.flatnonzero(levels_db(pcm) > AUDIBLE_DBFS) * ENERGY_HOP_SAMPLES
    if not len(audible):
        raise ValueError("the clip is silent")
    begin, end = int(audible[0]), int(audible[-1]) + ENERGY_HOP_SAMPLES

    def inside(at: int) -> int:
        return min(max(at - begin, 0), end - begin)

    spoken = tuple(Word(w, inside(b), inside(e)) for w, b, e in words)
    sounds = tuple(Phone(k, inside(b), inside(e)) for k, b, e in phones)
    return Clip(pcm[begin:end].astype(np.float32), spoken, sounds), begin
