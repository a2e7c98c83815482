"""The play-out buffer at a listener's end: sound and marks go in as they come, sound comes out as time goes on."""

from __future__ import annotations

from collections import deque

import numpy as np


class Playout:
    """Plays in order, silence where there is nothing; every mark comes back once, when its place has been played."""

    def __init__(self) -> None:
        self._sound = np.zeros(0, np.float32)
        self._marks: deque[tuple[int, str]] = deque()  # (place, name), places in samples since the start
        self._played = 0  # samples of sound, silence in between not counted

    @property
    def pending_samples(self) -> int:
        """Samples that are still to be played."""
        return len(self._sound)

    def push(self, pcm: np.ndarray) -> None:
        """float32 [n], to be played after all that came before."""
        self._sound = np.concatenate([self._sound, pcm])

    def mark(self, name: str) -> None:
        """To be returned when all that came before has been played."""
        self._marks.append((self._played + len(self._sound), name))

    def pull(self, n: int) -> np.ndarray:
        """What is played in the next n samples of time, float32 [n]."""
        sound, self._sound = self._sound[:n], self._sound[n:]
        self._played += len(sound)
        return np.concatenate([sound, np.zeros(n - len(sound), np.float32)])

    def clear(self) -> None:
        """Drop what has not been played; its marks have passed."""
        self._played += len(self._sound)
        self._sound = self._sound[:0]

    def passed(self) -> list[str]:
        """The marks whose places have been passed since this was last asked."""
        names = []
        while self._marks and self._marks[0][0] <= self._played:
            names.append(self._marks.popleft()[1])
        return names
