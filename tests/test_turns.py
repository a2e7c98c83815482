"""Turns: streaming and offline agree by construction, so the tests hold both against an independent statement."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.turns import ENERGY_GATE, ENERGY_HOP_SAMPLES, Gate, Span, TurnDetector, levels_db, spans_of, speech_spans

HOP = 100
GATE = Gate(
    on=0.6, off=0.4, start_ms=3 * HOP * 1000 / SAMPLE_RATE, stop_ms=4 * HOP * 1000 / SAMPLE_RATE, hop_samples=HOP
)
scores = st.lists(st.one_of(st.sampled_from([0.0, 0.39, 0.4, 0.5, 0.59, 0.6, 1.0]), st.floats(0, 1)), max_size=200)


@given(scores)
def test_streaming_edges_are_the_offline_spans(values: list[float]) -> None:
    detector = TurnDetector(GATE)
    edges = [edge for value in values if (edge := detector.push(value))]
    edges += [last] if (last := detector.flush()) else []
    assert [edge.kind for edge in edges] == ["began", "ended"] * (len(edges) // 2)
    assert [(a.sample, b.sample) for a, b in zip(edges[::2], edges[1::2], strict=True)] == spans_of(values, GATE)
    assert not detector.speaking


@given(scores)
def test_spans_are_ordered_disjoint_and_long_enough(values: list[float]) -> None:
    spans = spans_of(values, GATE)
    for span in spans:
        assert 0 <= span.begin < span.end <= len(values) * HOP
        assert (span.end - span.begin) // HOP >= GATE.hops(GATE.start_ms)
    for before, after in pairwise(spans):
        assert after.begin - before.end >= GATE.hops(GATE.stop_ms) * HOP, "a shorter pause must not end a span"


@given(scores)
def test_a_span_begins_loud_and_holds_no_pause(values: list[float]) -> None:
    for span in spans_of(values, GATE):
        inside = values[span.begin // HOP : span.end // HOP]
        assert inside[0] >= GATE.on and inside[-1] >= GATE.off
        pauses = [len(list(run)) for loud, run in groupby(inside, lambda value: value >= GATE.off) if not loud]
        assert max(pauses, default=0) < GATE.hops(GATE.stop_ms)


@given(scores)
def test_an_edge_is_known_only_after_the_hops_that_hysteresis_asks_for(values: list[float]) -> None:
    detector = TurnDetector(GATE)
    for hop, value in enumerate(values, 1):
        edge = detector.push(value)
        if edge:
            wait = GATE.start_ms if edge.kind == "began" else GATE.stop_ms
            assert edge.known == hop * HOP
            assert edge.known - edge.sample >= GATE.hops(wait) * HOP


@given(scores, scores)
def test_what_is_reported_does_not_depend_on_what_comes_later(past: list[float], future: list[float]) -> None:
    alone, followed = TurnDetector(GATE), TurnDetector(GATE)
    assert [alone.push(v) for v in past] == [followed.push(v) for v in past + future][: len(past)]


def test_between_the_thresholds_speech_goes_on_but_does_not_begin() -> None:
    between, loud, quiet = [0.5] * 10, [0.9] * 3, [0.0] * 4
    assert spans_of(between, GATE) == []
    assert spans_of(loud + between + quiet, GATE) == [Span(0, 13 * HOP)]


def test_a_click_is_not_speech() -> None:
    assert spans_of([0.9, 0.9, 0.0, 0.9, 0.9, 0.0], GATE) == []


def test_a_gate_whose_thresholds_cross_is_refused() -> None:
    with pytest.raises(ValueError, match=r"off \(0.7\) must not exceed on \(0.5\)"):
        Gate(on=0.5, off=0.7, start_ms=10, stop_ms=10)


@given(st.integers(0, 40), st.integers(10, 60), st.integers(30, 60))
def test_a_tone_is_found_where_it_is(lead: int, tone: int, tail: int) -> None:
    """In hops of 10 ms: silence, a 440 Hz tone, silence."""
    samples = np.arange(tone * ENERGY_HOP_SAMPLES)
    voice = (0.3 * np.sin(2 * np.pi * 440 * samples / SAMPLE_RATE)).astype(np.float32)
    pcm = np.concatenate([silent(lead), voice, silent(tail)])
    assert speech_spans(pcm) == [Span(lead * ENERGY_HOP_SAMPLES, (lead + tone) * ENERGY_HOP_SAMPLES)]


def silent(hops: int) -> np.ndarray:
    return np.zeros(hops * ENERGY_HOP_SAMPLES, np.float32)


def test_levels_are_dbfs_of_whole_hops() -> None:
    pcm = np.concatenate([np.ones(240), np.full(240, 0.1), np.zeros(240), np.ones(239)]).astype(np.float32)
    np.testing.assert_allclose(levels_db(pcm), [0, -20, -120], atol=1e-4)


def test_a_spans_ticks_and_milliseconds() -> None:
    span = Span(FRAME_SAMPLES - 1, 3 * FRAME_SAMPLES)
    assert (span.begin_tick, span.end_tick) == (0, 2)
    assert Span(0, SAMPLE_RATE).ms == 1000
    assert ENERGY_GATE.hops(200) == 20 and ENERGY_GATE.hops(1) == 1
