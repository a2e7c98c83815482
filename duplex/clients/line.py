"""A telephone line as a Recording: what was said into the phone, and what its loudspeaker played at that instant."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from duplex.frame import FRAME_MS, PLAYOUT_LAG, SAMPLE_RATE, Frame, Framer
from duplex.protocols.resample import Resampler
from duplex.recording import RecordingWriter


class _Side:
    """Samples in, frames out, in place: what the resampler delays is taken off the front."""

    def __init__(self, from_hz: int) -> None:
        self._resampler, self._framer = Resampler(from_hz, SAMPLE_RATE), Framer()
        self._early = self._resampler.delay_samples

    def push(self, pcm: np.ndarray) -> list[Frame]:
        fresh = self._resampler.push(pcm)
        skipped = min(self._early, len(fresh))
        self._early -= skipped
        return self._framer.push(fresh[skipped:])


class Line:
    """Appends the two sides of a call. Use as a context manager, or call close()."""

    def __init__(self, path: Path, hz: int, meta: Mapping[str, Any] | None = None) -> None:
        """`path` without suffix; `hz` is the rate of both sides."""
        self._hz, self._writer = hz, RecordingWriter(path, meta)
        self._said, self._heard = _Side(hz), _Side(hz)
        self._waiting: deque[Frame] = deque()  # said, until it is known what is heard PLAYOUT_LAG ticks later
        self._samples = 0
        self._ticks = math.inf  # that the recording shall have

    def append(self, said: np.ndarray, heard: np.ndarray) -> None:
        """float32 [n] each: the microphone and the loudspeaker in the same stretch of time."""
        self._samples += len(said)
        self._waiting.extend(self._said.push(said))
        for frame in self._heard.push(heard):
            if frame.t >= PLAYOUT_LAG:  # a Recording has no place for what sounds before
                self._put(self._waiting.popleft(), frame.at(frame.t - PLAYOUT_LAG))

    def close(self) -> None:
        """Fill up the last tick with silence. Idempotent."""
        tick_samples = self._hz * FRAME_MS // 1000
        self._ticks = min(self._ticks, math.ceil(self._samples / tick_samples))
        self.append(*np.zeros((2, tick_samples * (PLAYOUT_LAG + 2)), np.float32))
        self._writer.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, said: Frame, heard: Frame) -> None:
        if said.t < self._ticks:
            self._writer.append(said, heard, heard_ms=float((said.t + 1) * FRAME_MS))
