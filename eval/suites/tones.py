"""Tones with sharp edges, for an agent that follows a script: a turn and an interruption of its answer, nobody's voice.

Where they begin and end is drawn to the sample, so that no frame's or packet's edge is favoured.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from duplex.frame import SAMPLE_RATE
from eval.scenario import Event, Facts, Scenario

LEVEL = 0.3
PERIOD = 96  # samples: 250 Hz, which a telephone carries, too
LEAD_S, TURN_S, GAP_S, SPREAD_S = 0.8, 1.0, 2.0, 0.2


def tones(n: int, tail_s: float) -> Iterator[Scenario]:
    """A tone to answer, and another one into the answer."""
    for i in range(n):
        rng = np.random.default_rng([*b"tones", i])
        lead, turn, gap, again = (
            round((s + rng.uniform(0, SPREAD_S)) * SAMPLE_RATE) for s in (LEAD_S, TURN_S, GAP_S, TURN_S)
        )
        first, second = (lead, lead + turn), (lead + turn + gap, lead + turn + gap + again)
        events = (Event("question", *first, "a tone"), Event("interruption", *second, "another tone"))
        samples = second[1] + round(tail_s * SAMPLE_RATE)
        pcm = np.zeros(samples, np.float32)
        for begin, end in (first, second):
            pcm[begin:end] = burst(end - begin)
        yield Scenario(f"tones-{i + 1:02d}", pcm, Facts(*first, samples, "a tone", "tone", i, events=events))


def burst(samples: int) -> np.ndarray:
    """float32 [samples], a square wave: loud from its first sample to its last."""
    return np.where(np.arange(samples) // (PERIOD // 2) % 2, -LEVEL, LEVEL).astype(np.float32)
