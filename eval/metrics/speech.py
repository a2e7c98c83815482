"""The agent's speech itself: does it say what it wrote, and how does it sound.

- `agent_wer`: edits between the agent's own text and what a transcriber hears in its audio, over the words of the text;
  both in lower case, without punctuation, numbers up to twenty in digits. Of a whole
  conversation; by jiwer. Down. May exceed 1.
- `dnsmos_ovrl`: DNSMOS P.835, overall, not personalised (Reddy et al., arXiv 2110.01763), mean of windows of 9.01 s, a
  second apart, of its speech with the silence between cut out. Up.

Version 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jiwer import process_words
from scipy.signal import resample_poly

from duplex.frame import SAMPLE_RATE

VERSION = 1
DNSMOS_HZ = 16_000
DNSMOS_SAMPLES = int(9.01 * DNSMOS_HZ)
_DNSMOS_MODEL = "dnsmos_models/sig_bak_ovr.onnx"
_OVERALL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])  # raw score -> OVRL, as published with the model
_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)


def word_errors(text: str, heard: str) -> tuple[int, int]:
    """(edits, words of the text)"""
    reference, hypothesis = plain(text), plain(heard)
    if not reference:
        return len(hypothesis), 0
    found = process_words(" ".join(reference), " ".join(hypothesis))
    return found.substitutions + found.deletions + found.insertions, len(reference)


def plain(text: str) -> list[str]:
    """Words in lower case, without punctuation, numbers up to twenty in digits."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'"))
    return [str(_NUMBERS.index(word)) if word in _NUMBERS else word for word in words]


def dnsmos(pcms: Sequence[np.ndarray]) -> float | None:
    """Mean over the windows of float32 [n] at 24 kHz each; None where the package speechmos is missing, or for nothing.

    The package's model and its arithmetic, without the package's own imports: it wants librosa for another score.
    """
    model = _model()
    if model is None or not any(len(pcm) for pcm in pcms):
        return None
    scores = [
        _OVERALL(model.run(None, {"input_1": w[None]})[0][0][2]) for pcm in pcms if len(pcm) for w in windows(pcm)
    ]
    return round(float(np.mean(scores)), 2)


def windows(pcm: np.ndarray) -> Iterator[np.ndarray]:
    """float32 [n] at 24 kHz -> windows of 9.01 s at 16 kHz, a second apart; a short clip is repeated."""
    clip = resample_poly(np.clip(pcm, -1, 1), DNSMOS_HZ // 8000, SAMPLE_RATE // 8000).astype(np.float32)
    while len(clip) < DNSMOS_SAMPLES:
        clip = np.concatenate([clip, clip])
    for begin in range(0, len(clip) - DNSMOS_SAMPLES + 1, DNSMOS_HZ):
        yield np.clip(clip[begin : begin + DNSMOS_SAMPLES], -1, 1)


@cache
def _model() -> Any:
    spec = find_spec("speechmos")
    if spec is None or spec.origin is None:
        return None
    from onnxruntime import InferenceSession

    return InferenceSession(str(Path(spec.origin).parent / _DNSMOS_MODEL))
