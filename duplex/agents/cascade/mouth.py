"""The mouth: phrases in, one tick of sound and the words that begin in it out. Silence when there is nothing to say."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE

_FADE_SAMPLES = 20 * SAMPLE_RATE // 1000  # short enough to stop within the tick, long enough not to click


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """Words and their sound."""

    text: str
    pcm: np.ndarray  # float32 [n] at 24 kHz
    pieces: int = 0  # of the language model's stream that it is made of


class Mouth:
    """What is still to be voiced. Words are spread over a phrase by their letters, since the voice gives no times."""

    def __init__(self) -> None:
        self._pcm = np.zeros(0, np.float32)
        self._words: deque[tuple[int, str]] = deque()  # (the sample in _pcm at which it begins, " word")

    @property
    def speaking(self) -> bool:
        return len(self._pcm) > 0

    def add(self, phrase: Phrase) -> None:
        """Say this after everything else."""
        begin, letters = len(self._pcm), max(1, len(phrase.text))
        at = 0
        for word in phrase.text.split():
            at = phrase.text.index(word, at)
            self._words.append((begin + at * len(phrase.pcm) // letters, " " + word))
            at += len(word)
        self._pcm = np.concatenate([self._pcm, phrase.pcm])

    def next(self) -> tuple[np.ndarray, str]:
        """One tick: float32 [1920], and the words that begin in it, each with a space in front."""
        pcm, self._pcm = self._pcm[:FRAME_SAMPLES], self._pcm[FRAME_SAMPLES:]
        text = ""
        while self._words and self._words[0][0] < FRAME_SAMPLES:
            text += self._words.popleft()[1]
        self._words = deque((at - FRAME_SAMPLES, word) for at, word in self._words)
        return np.pad(pcm, (0, FRAME_SAMPLES - len(pcm))), text

    def hush(self) -> int:
        """Fall silent within the next tick, without a click; returns how many samples will never sound."""
        whole, rest = self._pcm, self._pcm[:_FADE_SAMPLES]
        self._pcm = rest * np.linspace(1, 0, len(rest), dtype=np.float32)
        self._words.clear()
        return len(whole) - len(rest)
