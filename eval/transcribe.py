"""Reads the agent's audio back as text with whisper tiny.en, for the report. No latency depends on it."""

from __future__ import annotations

import numpy as np
import sphn
from faster_whisper import WhisperModel

from duplex.checkpoint import locate
from duplex.frame import SAMPLE_RATE
from eval.score import Transcriber

WHISPER_HZ = 16_000


def whisper() -> Transcriber:
    """Load tiny.en. Raises duplex.checkpoint's errors when its weights cannot be had."""
    model = WhisperModel(str(locate("whisper-tiny.en").folder), device="cpu", compute_type="int8")

    def transcribe(pcm: np.ndarray) -> str:
        segments, _ = model.transcribe(
            sphn.resample(pcm, SAMPLE_RATE, WHISPER_HZ), language="en", condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe
