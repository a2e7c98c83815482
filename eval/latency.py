"""Where the time of an agent's answers goes, summed up: stages, what they leave unexplained, the slowest, the targets.

Percentiles are over answers that came after the user's end (an earlier one waited for nothing), by linear
interpolation; those of the parts do not add up to that of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.metrics import ticks, waits
from eval.metrics.ticks import Misses
from eval.metrics.waits import Wait
from eval.statistics import spread

# What a conversation asks for, ms. An answer that never comes and a stop that never happens miss their target.
TARGETS = {"first_audio": 800.0, "barge_in": 500.0, "turn": 1000.0}

Legs = Mapping[str, float | None]  # stage -> ms


def latency(
    asked: Sequence[Wait | None],
    stops_ms: Sequence[float | None],
    engine: Sequence[Legs],
    misses: Sequence[Misses],
) -> dict[str, Any]:
    """`asked`: the wait of every turn, None without an answer; `stops_ms`: of every interruption, None where the agent
    went on; `engine`: every tick's stages; `misses`: of every recording that knows."""
    answered = [each for each in asked if each is not None]
    waited = [each for each in answered if each.total_ms >= 0]
    stages = _stages([each.legs for each in waited], waits.LEGS)
    return {
        "clock": _agreed({each.clock for each in answered}),
        "n": len(asked),
        "missing": len(asked) - len(answered),
        "early": len(answered) - len(waited),
        "stages": stages,
        "total": _spread(each.total_ms for each in waited),
        "residual": _spread(each.residual_ms for each in waited),
        "slowest": _slowest(stages),
        "ticks": _ticks(engine, misses),
        "targets": _targets(asked, stops_ms),
    }


def _ticks(engine: Sequence[Legs], misses: Sequence[Misses]) -> dict[str, Any]:
    stages = _stages(engine, ticks.STAGES)
    counted = {"missed": sum(m.missed for m in misses), "n": sum(m.n for m in misses)}
    clock = _agreed({m.clock for m in misses})
    return {"stages": stages, "slowest": _slowest(stages), "misses": counted | {"clock": clock} if misses else None}


def _agreed(clocks: set[str]) -> str | None:
    return "mixed" if len(clocks) > 1 else next(iter(clocks), None)


def _stages(found: Sequence[Legs], order: Sequence[str]) -> dict[str, Any]:
    """Of the stages that somebody has; n 0 where nobody recorded one."""
    return {s: _spread(legs.get(s) for legs in found) for s in order if any(s in legs for legs in found)}


def _slowest(stages: Mapping[str, Mapping[str, Any]]) -> str | None:
    known = {stage: found["p50"] for stage, found in stages.items() if found["n"]}
    return max(known, key=lambda stage: known[stage]) if known else None


def _targets(asked: Sequence[Wait | None], stops_ms: Sequence[float | None]) -> dict[str, Any]:
    times = {
        "first_audio": [each and each.first_audio_ms for each in asked],
        "barge_in": list(stops_ms),
        "turn": [each and each.total_ms for each in asked],
    }
    return {name: _target(times[name], limit_ms) for name, limit_ms in TARGETS.items()}


def _target(times_ms: Sequence[float | None], limit_ms: float) -> dict[str, Any]:
    """`met`: by at least half of those that were asked for; None where none was."""
    within = sum(each is not None and each <= limit_ms for each in times_ms)
    share = round(within / len(times_ms), 3) if times_ms else None
    met = None if share is None else share >= 0.5
    return {"limit_ms": limit_ms, **_spread(times_ms), "asked": len(times_ms), "share": share, "met": met}


def _spread(values: Iterable[float | None]) -> dict[str, Any]:
    found = spread(values)
    return {key: found[key] for key in ("p50", "p90", "n")}
