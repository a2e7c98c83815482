"""How soon an agent falls silent for a user who speaks while it does, as it sounds at the user's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import speech_spans


class BargeIn(NamedTuple):
    """The user began at `onset_ms` while the agent could be heard; the other times count from there."""

    onset_ms: float
    clear_ms: float | None  # until the server took back what was not played; None: it never did
    silent_ms: float  # until the last sample of the agent that could be heard


def barge_ins(user: np.ndarray, agent: np.ndarray, clears_ms: Sequence[float]) -> list[BargeIn]:
    """Two channels float32 [n] at 24 kHz on one clock, and when each `clear` came on it.

    Both are cut into speech by energy (ENERGY_GATE): the agent is silent when it is so for 200 ms, so that a pause in
    a sentence that goes on does not count as giving way.
    """
    onsets = [span.begin for span in speech_spans(user)]
    agents = speech_spans(agent)
    found = []
    for onset, following in zip(onsets, [*onsets[1:], len(user)], strict=False):
        spoken = next((span for span in agents if span.begin < onset < span.end), None)
        if spoken:
            clear_ms = next((c - _ms(onset) for c in clears_ms if _ms(onset) <= c < _ms(following)), None)
            found.append(BargeIn(_ms(onset), clear_ms, _ms(spoken.end - onset)))
    return found


def told(found: Sequence[BargeIn]) -> list[str]:
    """Lines for a person: each of them, and how they are spread."""
    if not found:
        return ["nobody spoke while the agent did"]
    lines = [
        f"{b.onset_ms / 1000:7.2f} s  {'no clear' if b.clear_ms is None else f'clear after {b.clear_ms:.0f} ms'}, "
        f"silent after {b.silent_ms:.0f} ms"
        for b in found
    ]
    middle, late = np.percentile([b.silent_ms for b in found], [50, 95], method="higher")
    return [*lines, f"{len(found)} barge-ins: silent after {middle:.0f} ms (p50), {late:.0f} ms (p95)"]


def _ms(samples: int) -> float:
    return samples * 1000 / SAMPLE_RATE
