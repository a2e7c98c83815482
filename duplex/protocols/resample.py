"""From one sample rate to another as a stream: causal, without bursts, the same samples however the input is cut up.

A polyphase FIR with a Kaiser window: flat (0.05 dB) up to 0.425 of the lower rate, which is 3.4 kHz on the telephone,
and 65 dB down from half of it on, so that nothing folds back and no image is heard.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd, pi

import numpy as np

_DOWN_DB = 65.0
_PASS, _STOP = 0.425, 0.5  # of the lower rate


class Resampler:
    """One stream from `from_hz` to `to_hz`."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Raises ValueError when a rate is not positive."""
        if from_hz < 1 or to_hz < 1:
            raise ValueError(f"rates must be positive, got {from_hz} and {to_hz} Hz")
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._bank, self.delay_samples = _bank(self._up, self._down)  # at to_hz: 27 (3.4 ms) to 8 kHz
        self._past = np.zeros(self._bank.shape[1] - 1, np.float32)
        self._phase = 0  # of the next output, in 1 / up of an input sample after the first that is fresh

    def push(self, pcm: np.ndarray) -> np.ndarray:
        """float32 [n], any n -> float32 [m]: after n samples in all, ceil(n * to / from) have come out.

        So 20 ms in is 20 ms out, wherever both are whole samples; what it says is `delay_samples` late.
        """
        if self._up == self._down:
            return pcm.astype(np.float32)
        known = np.concatenate([self._past, pcm.astype(np.float32, copy=False)])
        begin, count = self._phase, len(range(self._phase, len(pcm) * self._up, self._down))
        self._phase += count * self._down - len(pcm) * self._up
        self._past = known[len(pcm) :].copy()
        return self._filtered(known, begin, count) if count else np.zeros(0, np.float32)

    def _filtered(self, known: np.ndarray, begin: int, count: int) -> np.ndarray:
        """Every `up`-th output takes the same taps, so they are made together, whatever the number of them."""
        out = np.empty(count, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(known, self._bank.shape[1])
        for first in range(min(self._up, count)):
            at, phase = divmod(begin + first * self._down, self._up)
            part = out[first :: self._up]
            # not `@`: what BLAS adds up first depends on how many there are, and the cuts must not be heard
            np.einsum("nk,k->n", windows[at :: self._down][: len(part)], self._bank[phase], out=part)
        return out


@lru_cache
def _bank(up: int, down: int) -> tuple[np.ndarray, int]:
    """(taps float32 [up, k], the oldest sample's first; delay in output samples)."""
    if up == down:
        return np.ones((1, 1), np.float32), 0
    wide = max(up, down)  # the filter's own rate over the lower of the two
    half = (_DOWN_DB - 7.95) / (2.285 * 2 * pi * (_STOP - _PASS)) * wide / 2
    delay = ceil(half / down)
    n = np.arange(-delay * down, delay * down + 1)
    cut = (_PASS + _STOP) / wide
    taps = np.sinc(cut * n) * cut * up * np.kaiser(len(n), 0.1102 * (_DOWN_DB - 8.7))
    columns = ceil(len(taps) / up)
    padded = np.concatenate([taps, np.zeros(columns * up - len(taps))])
    return np.ascontiguousarray(padded.reshape(columns, up).T[:, ::-1], np.float32), delay
