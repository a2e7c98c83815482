"""The frame ledger of an engine: where each tick of 80 ms went, by its Took events and by the recorder's two clocks.

Stages, in ms, in the order in which a frame passes them:

- `queue`: from when the user's frame is complete until a step takes it: the tick before is not yet said, or the engine
  is at work for others;
- `encode`, `temporal` (text included), `depth` (all codebooks), `decode`: of the batch's step;
- `transport`: the rest, where a wire lies between; in one process there is none, and the rest is `other`.

A *miss* is a tick whose step takes more than 80 ms: of the engine's own account where it is recorded, else from user's
frame to agent's frame on the recorder's clock in real time. Source: Moshi's frame ledger, reference section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from duplex.events import Took
from duplex.frame import FRAME_MS
from duplex.recording import Recording, Tick

ENGINE = ("encode", "temporal", "depth", "decode")
STAGES = ("queue", *ENGINE, "transport", "other")


class Misses(NamedTuple):
    """Ticks that took more than FRAME_MS."""

    missed: int
    n: int
    clock: str  # engine | recorder


def legs(recording: Recording) -> list[dict[str, float | None]]:
    """Of every tick: stage -> ms; None: not recorded. [] where the recording holds no times."""
    took = _took(recording)
    said = [tick.said_ms for tick in recording.ticks]
    return [
        _legs(tick, before, took.get(tick.t), wired(recording))
        for tick, before in zip(recording.ticks, [None, *said], strict=False)
        if is_timed(recording) and tick.heard_ms is not None and tick.said_ms is not None
    ]


def is_timed(recording: Recording) -> bool:
    """Whether the time between a tick's two frames is the agent's: faster than real time, a server holds it back."""
    return not wired(recording) or recording.meta.get("pace") == "realtime"


def wired(recording: Recording) -> bool:
    """Whether a wire lies between recorder and agent."""
    return recording.meta.get("wire", "in process") != "in process"


def misses(recording: Recording) -> Misses | None:
    """None where nobody knows."""
    took = [sum(event[f"{s}_ms"] or 0.0 for s in ENGINE) for event in _took(recording).values()]
    if took:
        return Misses(sum(ms > FRAME_MS for ms in took), len(took), "engine")
    times = [t.said_ms - t.heard_ms for t in recording.ticks if t.said_ms is not None and t.heard_ms is not None]
    if recording.meta.get("pace") != "realtime" or not times:
        return None
    return Misses(sum(ms > FRAME_MS for ms in times), len(times), "recorder")


def _took(recording: Recording) -> dict[int, Mapping[str, Any]]:
    return dict(recording.events(Took))


def _legs(tick: Tick, before_ms: float | None, took: Mapping[str, Any] | None, wired: bool) -> dict[str, float | None]:
    """`before_ms`: when the agent's frame before was at hand."""
    assert tick.heard_ms is not None and tick.said_ms is not None
    whole, rest = tick.said_ms - tick.heard_ms, "transport" if wired else "other"
    found: dict[str, float | None] = dict.fromkeys(("queue", *ENGINE))
    if took is not None:
        in_line = max(0.0, (before_ms or 0.0) - tick.heard_ms)
        found["queue"] = min(whole, in_line + took["queue_ms"])
        found |= {stage: took[f"{stage}_ms"] for stage in ENGINE}
    found[rest] = whole - sum(ms for ms in found.values() if ms is not None)
    return {stage: None if ms is None else round(ms, 2) for stage, ms in found.items()}
