"""The play-out buffer at a listener's end: sound and marks go in as they come, sound comes out as time goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from duplex.frame import SAMPLE_RATE


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


class Loudspeaker:
    """A buffer that plays by a clock: what comes sounds from the sample at which it came, or after what is queued."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        """`now_ms`: milliseconds since the conversation began."""
        self._now_ms, self._buffer = now_ms, Playout()
        self._tape = [np.zeros(0, np.float32)]  # what was heard and not yet taken
        self._until = self._taken = 0  # samples since the conversation began

    def push(self, pcm: np.ndarray) -> None:
        """float32 [n], to be played after all that came before."""
        self._play_on(self._now_ms())
        self._buffer.push(pcm)

    def clear(self) -> None:
        """Drop what has not been played."""
        self._play_on(self._now_ms())
        self._buffer.clear()

    def take(self, until_ms: float) -> np.ndarray:
        """What was heard since the last time this was asked, up to `until_ms`, which should have passed."""
        self._play_on(until_ms)
        tape, n = np.concatenate(self._tape), round(until_ms * SAMPLE_RATE / 1000) - self._taken
        self._tape, self._taken = [tape[n:]], self._taken + n
        return tape[:n]

    def _play_on(self, until_ms: float) -> None:
        n = max(0, round(until_ms * SAMPLE_RATE / 1000) - self._until)
        self._tape.append(self._buffer.pull(n))
        self._until += n
