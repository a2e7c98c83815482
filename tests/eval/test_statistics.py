"""Numbers with intervals, and EVA's turn score at the corners of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.eva import Turn, conversation_score, latency_score, turn_score
from eval.statistics import estimate, interval, mean, median, shown, spread


def test_what_is_missing_is_counted_and_never_imputed() -> None:
    found = estimate([[100.0, None], [300.0], [None]], median, "ms", "down", version=1)
    assert (found.value, found.n, found.missing, found.unit) == (200.0, 2, 2, "ms")
    nothing = estimate([[None], []], median, "ms", "down", version=1)
    assert (nothing.value, nothing.n, nothing.missing, nothing.ci95) == (None, 0, 1, None)


def test_intervals_are_over_conversations_and_not_over_turns() -> None:
    """Forty turns that are alike within their two conversations are two observations."""
    alike = [[0.0] * 20, [1.0] * 20]
    assert interval(alike, mean) == (0.0, 1.0)
    apart = [[0.0, 1.0]] * 20
    assert interval(apart, mean) == (0.5, 0.5)
    assert interval([[1.0, 2.0]], mean) is None and interval([[1.0], [None]], mean) is None


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    runs = [interval(rng.normal(5, 1, (40, 1)).tolist(), mean, rounds=300, seed=i) for i in range(200)]
    assert 0.88 < np.mean([low <= 5 <= high for low, high in filter(None, runs)]) < 0.99


def test_the_99th_percentile_needs_a_hundred_values() -> None:
    assert spread([1.0] * 99)["p99"] is None and spread([1.0] * 100)["p99"] == 1.0
    assert spread([3.0, None, 1.0]) == {
        "p50": 2.0,
        "p90": 2.8,
        "p95": 2.9,
        "p99": None,
        "max": 3.0,
        "n": 2,
        "missing": 1,
    }
    assert spread([])["p50"] is None


def test_a_rate_of_few_events_is_hidden() -> None:
    assert not shown(estimate([[1.0]] * 9, mean, "share", "up", 1)) and shown(estimate([[1.0]] * 10, mean, "", "up", 1))


@pytest.mark.parametrize(
    ("ms", "score", "with_tool"),
    [
        (-600, 0, 0),
        (-500, 0, 0),
        (0, 0.5, 0.5),
        (500, 1, 1),
        (2000, 1, 1),
        (2750, 0.5, 1),
        (3500, 0, 0.75),
        (5000, 0, 0),
    ],
)
def test_latency_scores(ms: float, score: float, with_tool: float) -> None:
    assert latency_score(ms) == pytest.approx(score) and latency_score(ms, tool=True) == pytest.approx(with_tool)


def test_turn_scores() -> None:
    assert turn_score(Turn(800)) == 1 and turn_score(Turn(None)) == 0
    assert turn_score(Turn(800, yield_ms=500)) == 0.75 and turn_score(Turn(800, yield_ms=-20)) == 1
    assert turn_score(Turn(800, barge_ins=1, overlap_ms=1000)) == 0.25
    assert turn_score(Turn(800, barge_ins=2, overlap_ms=0, after_barge_in_ms=800)) == 0.25
    assert turn_score(Turn(800, barge_ins=4, overlap_ms=0)) == 0
    assert turn_score(Turn(800, barge_ins=1, overlap_ms=0, yield_ms=1800)) == pytest.approx(0.1)
    assert turn_score(Turn(800, barge_ins=1, overlap_ms=0, after_barge_in_ms=3500)) == 0


def test_a_conversation_without_a_last_answer_scores_nothing() -> None:
    assert conversation_score([Turn(800), Turn(0)]) == 0.75
    assert conversation_score([Turn(800), Turn(None)]) == 0
    assert conversation_score([Turn(None), Turn(800)]) == 0.5
    assert conversation_score([]) is None
