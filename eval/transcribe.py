"""Reads the agent's audio back as text with whisper tiny.en, for the report. No latency depends on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from faster_whisper import WhisperModel
from scipy.signal import resample_poly

from duplex.checkpoint import locate
from eval.metrics.fdb import Word
from eval.metrics.words import Transcriber


def whisper() -> Transcriber:
    """Load tiny.en. What it returns may be sent to another process, which loads its own.

    Raises duplex.checkpoint's errors when its weights cannot be had.
    """
    _model()
    return _transcribe


def whisper_words() -> Callable[[np.ndarray], list[Word]]:
    """The same for float32 [n] at 24 kHz -> words with times in seconds, for Full-Duplex-Bench's scores."""
    _model()
    return _words


def _transcribe(pcm: np.ndarray) -> str:
    segments, _ = _model().transcribe(_heard(pcm), language="en", condition_on_previous_text=False)
    return " ".join(segment.text.strip() for segment in segments)


def _words(pcm: np.ndarray) -> list[Word]:
    how = {"language": "en", "condition_on_previous_text": False, "word_timestamps": True}
    segments, _ = _model().transcribe(_heard(pcm), **how)
    return [Word(w.start, w.end, w.word.strip()) for segment in segments for w in segment.words or ()]


@cache
def _model() -> WhisperModel:
    return WhisperModel(str(locate("whisper-tiny.en").folder), device="cpu", compute_type="int8")


def _heard(pcm: np.ndarray) -> np.ndarray:
    return resample_poly(pcm, 2, 3).astype(np.float32)  # 24 kHz -> whisper's 16
