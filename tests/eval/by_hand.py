"""Recordings made by hand: a user who speaks for a known time, an agent that sounds at exactly the times it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from duplex.frame import FRAME_MS, FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE, Frame, frames_of
from duplex.recording import Recording, RecordingWriter
from duplex.turns import Span
from eval.scenario import Facts

USER = Span(SAMPLE_RATE, 2 * SAMPLE_RATE)  # speaks from 1 s to 2 s
SAMPLES = 6 * SAMPLE_RATE

Times = tuple[float, float]  # seconds on the recording's clock


def tone(*times: Times, samples: int = SAMPLES) -> np.ndarray:
    """float32 [samples], loud within `times` and silent elsewhere; a square wave, so that its edges are sharp."""
    pcm = np.zeros(samples, np.float32)
    for begin, end in times:
        pcm[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 0.3
    pcm[::2] *= -1
    return pcm


def facts(**changes: Any) -> Facts:
    known = {"user_begin_sample": USER.begin, "user_end_sample": USER.end, "samples": SAMPLES}
    return Facts(**{**known, "text": "What?", "voice": "tone", "seed": 0, **changes})


def hand_made(
    path: Path,
    *agent: Times,
    user: tuple[Times, ...] = ((1.0, 2.0),),
    late_ms: Callable[[int], float] = lambda t: 0.0,
    said: Callable[[int], dict[str, Any]] = lambda t: {},
    **meta: Any,
) -> Recording:
    """The agent's frame t is at hand `late_ms(t)` after the user's, and holds what `said(t)` adds."""
    lag = PLAYOUT_LAG * FRAME_SAMPLES  # the writer delays the agent by this much
    voice = tone(*agent, samples=SAMPLES + lag)[lag:]
    header = {"agent": "hand", "scenario": path.name, "pace": "realtime", "facts": asdict(facts()), **meta}
    with RecordingWriter(path, header) as writer:
        for heard, spoke in zip(frames_of(tone(*user)), frames_of(voice), strict=True):
            heard_ms = (heard.t + 1.0) * FRAME_MS
            writer.append(heard, Frame(heard.t, spoke.pcm, **said(heard.t)), heard_ms, heard_ms + late_ms(heard.t))
    return Recording.open(path)
