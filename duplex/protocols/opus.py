"""Ogg/Opus as a stream at 24 kHz mono, by sphn. The only place under `protocols` that knows sphn.

Sample counts are kept: n samples in are n samples out on the far side. The stream is late, though: the Opus encoder
looks 156 samples (6.5 ms) ahead, so what enters at sample s leaves at s + OPUS_DELAY_SAMPLES. sphn writes a pre-skip of
80 ms into the header and its own reader ignores it; a browser's decoder may drop those first 80 ms.
"""

from __future__ import annotations

import numpy as np
import sphn

from duplex.frame import SAMPLE_RATE
from duplex.protocols.wire import TooMuchSound

OPUS_DELAY_SAMPLES = 156  # per direction, measured against sphn 0.2.1
_SLICE_BYTES = 512  # an Ogg page of empty packets expands 5,000-fold: decode little by little, so the caller can stop


class Opus:
    """One stream each way. Not thread-safe."""

    def __init__(self) -> None:
        self._writer = sphn.OpusStreamWriter(SAMPLE_RATE)
        self._reader = sphn.OpusStreamReader(SAMPLE_RATE)

    def encode(self, pcm: np.ndarray) -> bytes:
        """float32 [1920] -> the Ogg pages that are now complete."""
        return self._writer.append_pcm(pcm)

    def decode(self, ogg: bytes, limit_s: float) -> np.ndarray:
        """Part of an Ogg stream, cut anywhere -> float32 [n]. Raises ValueError: no Ogg/Opus; TooMuchSound."""
        parts, total = [np.zeros(0, np.float32)], 0
        for i in range(0, len(ogg), _SLICE_BYTES):
            parts.append(self._reader.append_bytes(ogg[i : i + _SLICE_BYTES]))
            total += len(parts[-1])
            if total > limit_s * SAMPLE_RATE:
                raise TooMuchSound(limit_s)
        return np.concatenate(parts)
