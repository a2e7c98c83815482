"""Panels of others: summed up as they do it, hidden where there is too little."""

from __future__ import annotations

import pytest

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval import panels


def test_tau_takes_means_and_hides_what_has_fewer_than_ten_events() -> None:
    talks = [{"response_latency_ms": [100.0, 200.0, 900.0, None], "response_rate": [1.0, 1.0, 1.0, 0.0]}] * 3
    found = panels.tau(talks)
    assert found["response_rate"] == {"value": 0.75, "n": 12}
    assert found["response_latency_mean_ms"] == {"value": None, "n": 9}
    assert panels.tau([*talks, *talks])["response_latency_mean_ms"] == {"value": 400.0, "n": 18}
    assert found["yield_rate"] == {"value": None, "n": 0}


def test_selectivity_counts_what_it_did_not_do() -> None:
    talks = [
        {"false_stop_rate/backchannel": [1.0], "false_stop_rate/aside": [0.0], "false_answer_rate/aside": [1.0]}
    ] * 10
    found = panels.tau(talks)
    assert found["selectivity_backchannel"] == {"value": 0.0, "n": 10}
    assert found["selectivity_non_directed"] == {"value": 0.5, "n": 20}


def test_dgslm_and_its_distance_to_a_reference() -> None:
    second = SAMPLE_RATE
    user, agent = [Span(0, second)], [Span(round(1.4 * second), 2 * second)]
    found = panels.dgslm([(user, agent, 30 * second)] * 2)
    assert found["gap"] == {"per_min": 2.0, "s_per_min": 0.8, "n": 2, "durations_ms": [400.0, 400.0]}
    later = panels.dgslm([(user, [Span(round(1.9 * second), 3 * second)], 30 * second)])
    assert panels.distances(found, later)["gap"] == pytest.approx(0.5)
    assert panels.distances(found, later)["overlap"] is None and panels.distances(found, {})["gap"] is None
