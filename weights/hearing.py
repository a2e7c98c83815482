"""What a codec hears in one training step: segments from the banks, the users through an air that is new each time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import irfft, rfft

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from weights.air import Channel, transformed
from weights.bank import Bank, Sound
from weights.phones import LATE_SLOTS, SLOTS
from weights.plan import BEST_SNR_DB, ROOM_SHARE, TELEPHONE_SHARE

UNKNOWN = -100
_BORROWED_SHARE = 0.5  # of the agent's segments: the agent's voice saying what a user says
_LEVEL_DB = (-14.0, 6.0)  # of users
_CLEAN_SHARE = 0.3  # of users: no air at all
_WORST_SNR_DB = 3.0  # the better the likelier
_COLOUR_SHARE = 0.5
_COLOUR_DB = 9.0  # either way, of a microphone or a mouth
_UNHEARD = 3  # frames at the start of a segment in which a word may end that was not heard
_FAR_SHARE = 0.06  # of users' segments: somebody far away, to be heard as silence
_FAR_DB = (-28.0, -20.0)
_BENT_SHARE = 0.5  # of users' segments: played faster or slower, pitch and formants and all
_BENDS = (0.86, 1.16)
_BABBLE_SHARE = 0.1  # of users' segments: somebody far away talks too


@dataclass(frozen=True, eq=False)
class Segments:
    """First the agents, then the users."""

    heard: np.ndarray  # float32 [B, n]
    meant: np.ndarray  # float32 [B, n]: what the codec should make of it
    phones: np.ndarray  # uint8 [B, T, SLOTS]
    words: np.ndarray  # int64 [B, T]: the word that ended in the frame before (`weights.vocabulary`), or UNKNOWN
    paired: np.ndarray  # bool [B]: `meant` is known in every frame


@dataclass(frozen=True)
class Speech:
    """The banks of a folder."""

    agent: Bank
    user: Bank

    @classmethod
    def open(cls, folder: Path) -> Speech:
        """Raises NoBank."""
        return cls(Bank.open(folder / "agent"), Bank.open(folder / "user"))

    def draw(self, rng: np.random.Generator, agents: int, users: int, frames: int) -> Segments:
        """A pure function of the generator's state. Raises NoBank."""
        rows = [self._agent(rng, frames) for _ in range(agents)]
        longest = math.ceil(frames * _BENDS[1])
        rows += [self._user(rng, numbers, frames) for numbers in self.user.segments(rng, users, longest)]
        heard, meant, phones, words, paired = (np.stack(column) for column in zip(*rows, strict=True))
        return Segments(heard, meant, phones, words, paired)

    def _agent(self, rng: np.random.Generator, frames: int) -> _Row:
        """Its own sentences are few, so now and then what a user says, in the agent's voice."""
        bank, pcm = self.agent, self.agent.heard
        numbers = bank.segments(rng, 1, frames)[0]
        if rng.random() < _BORROWED_SHARE:
            borrowed = self.user.segments(rng, 1, frames)[0]
            if self.user.paired[borrowed].all():
                bank, pcm, numbers = self.user, self.user.meant, borrowed
        clean = _pcm(pcm, numbers)
        return clean, clean, bank.phones[numbers], _words(bank, numbers), True

    def _user(self, rng: np.random.Generator, numbers: np.ndarray, frames: int) -> _Row:
        heard, meant, phones, words, paired = self._said(rng, numbers, frames)
        if rng.random() < _FAR_SHARE:
            far = transformed(heard * _gain(rng.uniform(*_FAR_DB)), _air(rng, 0.0), rng)
            return far, np.zeros_like(meant), np.zeros_like(phones), np.zeros_like(words), True
        if rng.random() < _CLEAN_SHARE:
            return heard, meant, phones, words, paired
        level_db = rng.uniform(*_LEVEL_DB)
        heard = heard * _gain(level_db)
        if rng.random() < _COLOUR_SHARE:
            heard = _coloured(heard, rng)
        if rng.random() < _BABBLE_SHARE:
            other = self.user.segments(rng, 1, frames)[0]
            heard = heard + _pcm(self.user.heard, other) * _gain(level_db + rng.uniform(*_FAR_DB) + 6)
        return transformed(heard, _air(rng, level_db), rng), meant, phones, words, paired

    def _said(self, rng: np.random.Generator, numbers: np.ndarray, frames: int) -> _Row:
        """`numbers` are as many frames as the fastest needs. The agent does not keep up with a voice that is bent."""
        user = self.user
        pcm, phones, words = _pcm(user.heard, numbers), user.phones[numbers], _words(user, numbers)
        if rng.random() < _BENT_SHARE:
            return *bent(pcm, phones, words, frames, bend=rng.uniform(*_BENDS)), False
        paired = bool(user.paired[numbers[:frames]].all())
        return (
            pcm[: frames * FRAME_SAMPLES],
            _pcm(user.meant, numbers[:frames]),
            phones[:frames],
            words[:frames],
            paired,
        )


_Row = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]  # of Segments


def _words(bank: Bank, numbers: np.ndarray) -> np.ndarray:
    """int64 [T]"""
    words = bank.words[numbers, 0].astype(np.int64)
    words[:_UNHEARD] = UNKNOWN
    return words


def bent(
    pcm: np.ndarray, phones: np.ndarray, words: np.ndarray, frames: int, bend: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`bend` times as fast: (heard, meant: nothing, phones, words), each for so many frames."""
    heard = np.interp(np.arange(frames * FRAME_SAMPLES) * bend, np.arange(len(pcm)), pcm).astype(np.float32)
    slots = (np.arange(frames * SLOTS) - LATE_SLOTS + 0.5) * bend + LATE_SLOTS
    moved = np.zeros(frames, words.dtype)
    moved[:_UNHEARD] = UNKNOWN
    ended = np.flatnonzero(words > 0)
    at = np.ceil(ended / bend).astype(int)
    inside = at < frames
    moved[at[inside]] = words[ended[inside]]
    return heard, np.zeros_like(heard), phones.reshape(-1)[slots.astype(int)].reshape(frames, SLOTS), moved


def _pcm(frames: Sound, numbers: np.ndarray) -> np.ndarray:
    return frames[numbers].astype(np.float32).reshape(-1) / 32768


def _gain(db: float) -> np.float32:
    return np.float32(10 ** (db / 20))


def _coloured(pcm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through a smooth random equaliser."""
    spectrum: np.ndarray = rfft(pcm)  # type: ignore[assignment]  # scipy is untyped here
    octaves = np.log2(np.maximum(np.arange(len(spectrum)) / len(spectrum) * SAMPLE_RATE / 2, 60.0) / 60.0)  # 0 to 7.6
    gain_db = np.interp(octaves, np.linspace(0, 8, 6), rng.uniform(-_COLOUR_DB, _COLOUR_DB, 6))
    return np.asarray(irfft(spectrum * 10 ** (gain_db / 20), len(pcm)), np.float32)


def _air(rng: np.random.Generator, level_db: float) -> Channel:
    return Channel(
        level_db=level_db,
        snr_db=float(rng.triangular(_WORST_SNR_DB, BEST_SNR_DB, BEST_SNR_DB)),
        tilt=float(rng.random()),
        room_ms=int(rng.integers(80, 400)) if rng.random() < ROOM_SHARE else 0,
        telephone=bool(rng.random() < TELEPHONE_SHARE),
    )
