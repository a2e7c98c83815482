"""The files of one Full-Duplex-Bench sample, in their published shapes (v1 and v1.5, layout of February 2026).

Times in them are seconds on the sample's clock. What a file says is checked here; what it means, elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sphn

from duplex.clients.wav import load_wav
from eval.metrics.fdb import Word

INPUT, OUTPUT = "input.wav", "output.wav"
TRANSCRIPT, OUTPUT_WORDS = "transcription.json", "output.json"
PAUSE, TURN, INTERRUPT, METADATA = "pause.json", "turn_taking.json", "interrupt.json", "metadata.json"
HUMAN = "icc_gt_distribution.json"


class BadSample(Exception):
    """A file of a sample is missing or malformed; the message names it and what is expected there."""


class Sound(NamedTuple):
    """A WAV at our rate, and what it was."""

    pcm: np.ndarray  # float32 [n] at 24 kHz, channels averaged
    rate_hz: int  # of the file
    frames: int  # of the file


def sound(path: Path) -> Sound:
    """Raises BadSample when the file is missing, empty or no sound."""
    try:
        pcm = load_wav(path)
        shape, rate_hz = sphn.read(str(path))
    except (OSError, ValueError) as error:
        raise BadSample(str(error)) from None
    return Sound(pcm, int(rate_hz), shape.shape[1])


def read_json(path: Path) -> Any:
    """Raises BadSample when the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise BadSample(f"{path}: not JSON: {error}") from None


def objects(path: Path) -> list[Mapping[str, Any]]:
    """pause.json, turn_taking.json, interrupt.json. Raises BadSample unless it is a list with an object in it."""
    found = read_json(path)
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise BadSample(f"{path}: expected a list of one object with a timestamp [start, end]")
    return found


def times(values: Mapping[str, Any], key: str, path: Path, until_s: float) -> tuple[float, float]:
    """`key`: [start, end] with 0 <= start <= end, start < until_s; an end after that is cut. Raises BadSample."""
    pair = values.get(key)
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_time, pair)) or not pair[0] <= pair[1]:
        raise BadSample(f"{path}: {key!r} must be [start, end] in seconds, got {pair!r}")
    if pair[0] >= until_s:
        raise BadSample(f"{path}: {key!r} begins at {pair[0]:g} s, but {INPUT} ends at {until_s:g} s")
    return float(pair[0]), min(float(pair[1]), until_s)


def words(path: Path) -> list[Word]:
    """transcription.json, output.json: {"text", "chunks": [...]}, or the chunks alone. Raises BadSample."""
    found = read_json(path)
    chunks = found.get("chunks") if isinstance(found, dict) else found
    if not isinstance(chunks, list):
        raise BadSample(f"{path}: expected 'chunks', a list of words with 'text' and 'timestamp'")
    return [_word(chunk, path) for chunk in chunks]


def as_json(said: Sequence[Word]) -> str:
    """Words as output.json holds them."""
    chunks = [{"text": word.text, "timestamp": [word.start, word.end]} for word in said]
    return json.dumps({"text": " ".join(word.text for word in said), "chunks": chunks}, ensure_ascii=False, indent=1)


def human(path: Path, sample: str) -> tuple[float, ...]:
    """icc_gt_distribution.json: how likely people's backchannels are over the time of `sample`. Raises BadSample."""
    found = read_json(path)
    values = found.get(sample) if isinstance(found, dict) else None
    if not isinstance(values, list) or not all(map(_is_time, values)) or not sum(values) > 0:
        raise BadSample(f"{path}: expected for {sample!r} a list of numbers, at least one above 0")
    return tuple(map(float, values))


def _word(chunk: Any, path: Path) -> Word:
    pair = chunk.get("timestamp") if isinstance(chunk, dict) else None
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not _is_time(pair[0])
        or not (pair[1] is None or _is_time(pair[1]))
    ):
        raise BadSample(f"{path}: a word needs 'timestamp': [start, end] in seconds, got {chunk!r}")
    return Word(float(pair[0]), None if pair[1] is None else float(pair[1]), str(chunk.get("text", "")).strip())


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
