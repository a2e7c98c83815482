"""Panels that belong together and are summed up in their authors' way, beside our own metrics: tau-voice's, dGSLM's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from duplex.turns import Span
from eval.metrics import battery
from eval.statistics import FEWEST_EVENTS, mean, present

Values = Mapping[str, Sequence[float | None]]  # of one conversation: metric -> what was found

TAU_VERSION = 1
# their name -> (ours, whether theirs counts the opposite)
_TAU = {
    "response_latency_mean_ms": (("response_latency_ms",), False),
    "response_rate": (("response_rate",), False),
    "yield_latency_mean_ms": (("stop_latency_ms",), False),
    "yield_rate": (("yield_rate",), False),
    "agent_interruption_rate": (("agent_interruption_rate",), False),
    "selectivity_backchannel": (("false_stop_rate/backchannel",), True),
    "selectivity_non_directed": (
        (
            "false_stop_rate/aside",
            "false_stop_rate/background",
            "false_answer_rate/aside",
            "false_answer_rate/background",
        ),
        True,
    ),
}


def tau(conversations: Sequence[Values]) -> dict[str, dict[str, float | int | None]]:
    """tau-voice's panel: name -> {value, n}; the value is None, hidden, where there are fewer than 10 events.

    Source: voice interaction metrics 1.0 of sierra-research/tau2-bench, from the definitions. Means, not medians. Ours
    differ: no simulated user speaks again when he is not answered, nobody has vocal tics, and a turn's answer may come
    up to the user's next turn.
    """
    found = {}
    for name, (sources, opposite) in _TAU.items():
        values, _ = present([c.get(source, ()) for c in conversations for source in sources])
        value = (1 - mean(values) if opposite else mean(values)) if len(values) >= FEWEST_EVENTS else None
        found[name] = {"value": None if value is None else round(value, 4), "n": len(values)}
    return found


def dgslm(sides: Iterable[tuple[Sequence[Span], Sequence[Span], int]]) -> dict[str, Any]:
    """The battery of (user's spans, agent's spans, samples) of every conversation: kind -> pooled rates, durations."""
    found = [(battery.events(user, agent), samples) for user, agent, samples in sides]
    rates = battery.pooled(found)
    return {
        kind: {
            "per_min": round(rate.per_min, 3),
            "s_per_min": round(rate.s_per_min, 3),
            "n": rate.n,
            "durations_ms": [round(span.ms, 1) for events, _ in found for span in events[kind]],
        }
        for kind, rate in rates.items()
    }


def distances(ours: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, float | None]:
    """Wasserstein-1 in seconds between the durations of two `dgslm` panels, kind by kind; None where one has none."""
    sides = [{k: panel[k]["durations_ms"] if k in panel else [] for k in battery.KINDS} for panel in (ours, reference)]
    return battery.distance_of_durations(*sides)
