"""Response latency, calibrated against agents whose delay is known and against recordings made by hand."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
from by_hand import SAMPLES, USER, facts, hand_made, tone
from hypothesis import given
from hypothesis import strategies as st

from duplex.agents import open_agent
from duplex.events import Hop
from duplex.frame import FRAME_MS, PLAYOUT_LAG
from duplex.recording import Recording, Tick
from duplex.turns import Span
from eval.metrics.hops import hops
from eval.metrics.response import play_times_ms, response, response_span, wall_latency_ms
from eval.play import in_process, record
from eval.scenario import Scenario, facts_of

HOP_MS = 10.0
LAG_MS = PLAYOUT_LAG * FRAME_MS


async def played(tmp_path: Path, agent: str, **settings: float) -> Recording:
    """The known user against a fake agent, in process."""
    scenario = Scenario("known", tone((1.0, 2.0)), facts())
    await record([scenario], tmp_path, in_process(open_agent(agent, settings), paced=False, seed=0), {"agent": agent})
    return Recording.open(tmp_path / "known")


@pytest.mark.parametrize("after_ms", [200, 240, 283.7, 500, 1234.5])
async def test_scripted_agent_is_read_within_a_hop(tmp_path: Path, after_ms: float) -> None:
    found = response(await played(tmp_path, "scripted", respond_after_ms=after_ms), USER)
    assert found and 0 <= after_ms + LAG_MS - found.latency_ms < HOP_MS
    assert found.wall_latency_ms is None  # unpaced: no wall clock to speak of


@pytest.mark.parametrize("shift_ms", [40, 60, 80])
async def test_a_constant_delay_is_recovered_exactly(tmp_path: Path, shift_ms: float) -> None:
    plain = response(await played(tmp_path / "a", "scripted", respond_after_ms=300), USER)
    later = response(await played(tmp_path / "b", "scripted", respond_after_ms=300 + shift_ms), USER)
    assert plain and later and later.latency_ms - plain.latency_ms == shift_ms


async def test_an_echo_overlaps_by_the_length_of_the_question(tmp_path: Path) -> None:
    found = response(await played(tmp_path, "echo", delay_ms=200), USER)
    assert found and found.latency_ms == pytest.approx(200 + LAG_MS - 1000)  # negative, and kept


@pytest.mark.parametrize(
    ("agent", "onset_s"),
    [
        ([(2.5, 3.0)], 2.5),
        ([(1.7, 3.0)], 1.7),  # over the user's end: negative
        ([(0.2, 0.8), (2.5, 3.0)], 2.5),  # a greeting before the question
        ([(0.2, 3.0), (4.0, 5.0)], 4.0),  # talking since before the question: that answers nothing
        ([(1.3, 1.6), (2.5, 3.0)], 2.5),  # a backchannel
        ([(2.2, 2.25), (3.0, 4.0)], 3.0),  # a click
        ([(2.5, 2.6), (2.7, 3.0)], 2.5),  # a pause of 100 ms inside one span
    ],
)
def test_which_span_answers(tmp_path: Path, agent: list[tuple[float, float]], onset_s: float) -> None:
    found = response(hand_made(tmp_path / "x", *agent), USER)
    assert found and found.latency_ms == pytest.approx(onset_s * 1000 - 2000, abs=0.01)


@pytest.mark.parametrize("agent", [[], [(0.2, 3.0)], [(1.2, 1.6)], [(2.2, 2.25)]])
def test_no_answer_is_none(tmp_path: Path, agent: list[tuple[float, float]]) -> None:
    assert response(hand_made(tmp_path / "x", *agent), USER) is None


def test_wall_equals_stream_when_every_frame_is_at_hand_at_once(tmp_path: Path) -> None:
    found = response(hand_made(tmp_path / "x", (2.53, 3.0)), USER)
    assert found and found.wall_latency_ms == pytest.approx(found.latency_ms)


@given(user_end=st.integers(USER.end - 3000, USER.end), onset=st.integers(USER.end, SAMPLES))
def test_wall_equals_stream_for_any_place_in_a_frame(user_end: int, onset: int) -> None:
    ticks = [Tick(t, (t + 1) * 80.0, (t + 1) * 80.0) for t in range(SAMPLES // 1920)]
    assert wall_latency_ms(ticks, onset, user_end) == pytest.approx((onset - user_end) / 24)


def test_wall_carries_a_late_frame_to_all_that_follow(tmp_path: Path) -> None:
    found = response(hand_made(tmp_path / "x", (3.0, 4.0), late_ms=lambda t: 130.0 if t == 10 else 30.0), USER)
    assert found and found.latency_ms == 1000 and found.wall_latency_ms == pytest.approx(1130)


def test_wall_is_unknown_without_times_or_real_time(tmp_path: Path) -> None:
    unpaced = response(hand_made(tmp_path / "x", (3.0, 4.0), pace="unpaced"), USER)
    assert unpaced and unpaced.wall_latency_ms is None
    assert wall_latency_ms([Tick(t) for t in range(40)], 30 * 1920, 20 * 1920) is None
    assert wall_latency_ms([], 30 * 1920, 20 * 1920) is None


@given(st.lists(st.floats(0, 500), min_size=1, max_size=50))
def test_playout_never_overlaps_nor_runs_ahead_of_its_frames(lates: list[float]) -> None:
    ticks = [Tick(t, (t + 1) * 80.0, (t + 1) * 80.0 + late) for t, late in enumerate(lates)]
    play = play_times_ms(ticks)
    assert play is not None
    assert all(at >= tick.said_ms for at, tick in zip(play, ticks, strict=True))
    assert all(b - a >= FRAME_MS - 1e-6 for a, b in pairwise(play))
    assert play[-1] <= len(lates) * FRAME_MS + max(lates) + 1e-6  # no later than the worst frame made it


@given(st.lists(st.integers(0, SAMPLES), max_size=12, unique=True).map(sorted))
def test_the_answer_is_the_first_span_that_fits_the_rule(edges: list[int]) -> None:
    spans = [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    found = response_span(spans, USER)
    earlier = spans[: spans.index(found)] if found else spans
    assert found is None or (found.begin >= USER.begin and found.end > USER.end and found.ms >= 100)
    assert all(s.begin < USER.begin or s.end <= USER.end or s.ms < 100 for s in earlier)


def test_hops_are_those_of_the_answer_that_sounded(tmp_path: Path) -> None:
    told = {
        25: (Hop("endpoint", 200.0), Hop("stt", 300.0)),  # too early: taken back
        30: (Hop("endpoint", 210.0),),
        31: (Hop("stt", 320.0), Hop("release", 400.0)),
        60: (Hop("endpoint", 220.0),),  # the next answer
    }
    recording = hand_made(tmp_path / "x", (3.0, 4.0), said=lambda t: {"events": told.get(t, ())})
    assert hops(recording, onset=3 * 24_000) == {"endpoint": 210.0, "stt": 320.0, "release": 400.0}
    assert hops(hand_made(tmp_path / "y", (3.0, 4.0)), onset=3 * 24_000) == {}


def test_facts_survive_the_header(tmp_path: Path) -> None:
    known = facts(expect=("paris", "Paris"))
    assert facts_of(hand_made(tmp_path / "x", facts=asdict(known)).meta) == known
