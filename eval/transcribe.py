"""Reads the agent's audio back as text with whisper tiny.en, for the report. No latency depends on it."""

from __future__ import annotations

import numpy as np
from faster_whisper import WhisperModel
from scipy.signal import resample_poly

from duplex.checkpoint import locate
from eval.metrics.words import Transcriber


def whisper() -> Transcriber:
    """Load tiny.en. Raises duplex.checkpoint's errors when its weights cannot be had."""
    model = WhisperModel(str(locate("whisper-tiny.en").folder), device="cpu", compute_type="int8")

    def transcribe(pcm: np.ndarray) -> str:
        speech = resample_poly(pcm, 2, 3).astype(np.float32)  # 24 kHz -> whisper's 16
        segments, _ = model.transcribe(speech, language="en", condition_on_previous_text=False)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe
