"""From what was measured in conversations to numbers with intervals. What is missing is counted, never imputed.

Intervals are percentile bootstraps over conversations (Efron 1979; conversations, because the turns of one are alike):
whole conversations are drawn with replacement, the statistic is taken of all their values together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Direction = Literal["up", "down", "none"]
ROUNDS = 2000
FEWEST_EVENTS = 10  # a rate over fewer is hidden, as tau-voice does
FEWEST_FOR_P99 = 100

Statistic = Callable[[np.ndarray], float]  # of values [n]
Conversations = Sequence[Sequence[float | None]]  # what each conversation's turns measured; None: missing


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number of one agent, as comparison.json holds it."""

    value: float | None
    unit: str
    n: int  # values that it is made of
    missing: int  # values that should have been there and are not
    ci95: tuple[float, float] | None  # None where there are fewer than two conversations with values
    direction: Direction
    version: int


def estimate(
    conversations: Conversations,
    statistic: Statistic,
    unit: str,
    direction: Direction,
    version: int,
) -> Estimate:
    """`statistic` of an array [n] of all values that are there."""
    values, missing = present(conversations)
    value = round(float(statistic(values)), 4) if len(values) else None
    return Estimate(value, unit, len(values), missing, interval(conversations, statistic), direction, version)


def median(values: np.ndarray) -> float:
    return float(np.percentile(values, 50))


def mean(values: np.ndarray) -> float:
    return float(values.mean())


def present(conversations: Conversations) -> tuple[np.ndarray, int]:
    """(float [n] of what is there, how many are not)"""
    flat = [v for turns in conversations for v in turns]
    values = np.array([v for v in flat if v is not None], float)
    return values, len(flat) - len(values)


def interval(
    conversations: Conversations, statistic: Statistic, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, float] | None:
    """95 %, or None where fewer than two conversations have a value."""
    groups = [np.array([v for v in turns if v is not None], float) for turns in conversations]
    groups = [group for group in groups if len(group)]
    if len(groups) < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(rounds, len(groups)))
    found = [statistic(np.concatenate([groups[i] for i in row])) for row in drawn]
    low, high = np.percentile(found, (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)


def spread(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """{p50, p90, p95, p99, max, n, missing}; percentiles by linear interpolation, p99 of at least 100 values only."""
    given = list(values)
    found = [v for v in given if v is not None]
    counts = {"n": len(found), "missing": len(given) - len(found)}
    if not found:
        return {"p50": None, "p90": None, "p95": None, "p99": None, "max": None, **counts}
    p50, p90, p95, p99 = np.percentile(found, (50, 90, 95, 99)).round(1).tolist()
    kept = p99 if len(found) >= FEWEST_FOR_P99 else None
    return {"p50": p50, "p90": p90, "p95": p95, "p99": kept, "max": round(max(found), 1), **counts}


def shown(estimate: Estimate) -> bool:
    """Whether a rate has enough events to be shown."""
    return estimate.n >= FEWEST_EVENTS
