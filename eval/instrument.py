"""The judge's ear: where a clean channel begins and ceases to sound, to a few milliseconds.

An energy gate in hops of 5 ms: speech begins with the first of 20 ms at or above -42 dBFS, ends with the last hop at or
above -48 dBFS before 200 ms below it. A hop that is partly sound is found whole, so an onset reads early and an end
late by half a hop on average; that bias is constant and is subtracted. `python -m eval calibrate` measures what is
left. Soft onsets are found when they reach the threshold, which is what a listener does too.

Silero, the field's usual detector, moves in steps of 32 ms and is reported beside it, never instead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import Gate, Span, levels_db, spans_of
from eval.metrics.intervals import ms

VERSION = 1
HOP_SAMPLES = SAMPLE_RATE // 200  # 5 ms
GATE = Gate(on=-42.0, off=-48.0, start_ms=20, stop_ms=200, hop_samples=HOP_SAMPLES)
SILERO_HOP_SAMPLES = 768  # 32 ms
ONSET_BIAS_MS, OFFSET_BIAS_MS = -2.5, 2.5  # what is subtracted


def speech(pcm: np.ndarray) -> list[Span]:
    """float32 [n] -> where it sounds, bias subtracted."""
    late, early = (round(bias * SAMPLE_RATE / 1000) for bias in (ONSET_BIAS_MS, OFFSET_BIAS_MS))
    found = spans_of(levels_db(pcm, HOP_SAMPLES), GATE)
    return [Span(s.begin - late, min(s.end - early, len(pcm))) for s in found]


def silero() -> Callable[[np.ndarray], list[Span]]:
    """The same by Silero with its own thresholds of 0.5 and 0.35 and no padding; edges are multiples of 32 ms."""
    from duplex.agents.cascade.vad import Resampler, Silero

    model, gate = Silero(), Gate(on=0.5, off=0.35, start_ms=64, stop_ms=200, hop_samples=SILERO_HOP_SAMPLES)

    def speech(pcm: np.ndarray) -> list[Span]:
        listener, heard = model.listener(), Resampler().push(pcm)
        size = SILERO_HOP_SAMPLES * 2 // 3  # at 16 kHz
        return spans_of(map(listener, heard[: len(heard) // size * size].reshape(-1, size)), gate)

    return speech


def errors_ms(found: Sequence[Span], truth: Span) -> tuple[float, float] | None:
    """(onset, end) of what was found less what is true, ms; None unless all of it was found as one stretch."""
    touching = [s for s in found if s.end > truth.begin and s.begin < truth.end]
    if not touching:
        return None
    return ms(touching[0].begin - truth.begin), ms(touching[-1].end - truth.end)
