"""A sound file as the 24 kHz mono signal that everything else works on."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np
import sphn
from scipy.signal import resample_poly

from duplex.frame import SAMPLE_RATE


def load_wav(path: Path) -> np.ndarray:
    """float32 [n] at 24 kHz; channels are averaged, any rate is resampled.

    Raises FileNotFoundError, and ValueError when the file holds no sound that can be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        pcm, rate = sphn.read(str(path))  # float32 [C, n]
    except Exception as error:  # sphn raises whatever its decoder finds
        raise ValueError(f"{path}: not a WAV file that can be read: {error}") from None
    mono = pcm.mean(axis=0, dtype=np.float32)
    if not len(mono):
        raise ValueError(f"{path}: holds no samples")
    if rate == SAMPLE_RATE:
        return mono
    common = gcd(rate, SAMPLE_RATE)  # zero-phase: sphn.resample is 512 input samples late and loses the end
    return resample_poly(mono, SAMPLE_RATE // common, rate // common).astype(np.float32)
