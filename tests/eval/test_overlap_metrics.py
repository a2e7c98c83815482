"""Who speaks when: interruption, takeover and the dGSLM battery on spans made by hand. Times are in seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval.metrics import battery, takeover
from eval.metrics.interruption import Stop, post_interrupt_latency_ms, resume_latency_ms, stop
from eval.metrics.intervals import clean


def spans(*times: tuple[float, float]) -> list[Span]:
    return [Span(at(b), at(e)) for b, e in times]


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


# --- interruption -----------------------------------------------------------------------------------------------------


def test_a_stop_is_measured_from_the_users_first_sample() -> None:
    agent = spans((1.0, 3.4), (6.0, 8.0))
    assert stop(agent, at(3.0), 2000) == Stop(at(3.4), pytest.approx(400.0))


def test_who_talks_through_has_not_stopped_however_short_the_user_is() -> None:
    """Full-Duplex-Bench's interval would end with the user; this one is censored by the window alone."""
    assert stop(spans((1.0, 9.0)), at(3.0), 2000) == Stop()
    assert stop(spans((1.0, 5.5)), at(3.0), 2000) == Stop()
    assert stop(spans((1.0, 4.9)), at(3.0), 2000).latency_ms == pytest.approx(1900)


def test_a_blank_between_sentences_is_no_stop() -> None:
    assert stop(spans((1.0, 3.2), (3.6, 9.0)), at(3.0), 2000) == Stop()
    assert stop(spans((1.0, 3.2), (3.8, 9.0)), at(3.0), 2000).latency_ms == pytest.approx(200)


@pytest.mark.parametrize("agent", [[], spans((1.0, 2.9)), spans((2.9, 9.0)), spans((3.1, 9.0))])
def test_a_stop_in_the_agents_own_pause_is_void(agent: list[Span]) -> None:
    assert stop(agent, at(3.0), 2000).void == "the agent was not talking"


def test_a_reply_that_was_over_anyway_says_nothing() -> None:
    agent = spans((1.0, 3.4))
    assert stop(agent, at(3.0), 2000, natural_end=at(3.6)).void == "its reply was over"
    assert stop(agent, at(3.0), 2000, natural_end=at(6.0)).latency_ms == pytest.approx(400)


def test_what_the_recording_cut_off_did_not_stop() -> None:
    agent = spans((1.0, 3.4))
    assert stop(agent, at(3.0), 2000, recorded=at(3.4)).void == "the recording was over"
    assert stop(agent, at(3.0), 300, recorded=at(3.4)) == Stop()  # all of the window was heard
    assert stop(agent, at(3.0), 2000, recorded=at(3.5)).latency_ms == pytest.approx(400)


def test_after_a_stop_it_answers_or_resumes() -> None:
    agent = spans((1.0, 3.4), (3.45, 3.5), (4.2, 6.0))  # the middle one is a click
    assert post_interrupt_latency_ms(agent, at(3.4), user_end=at(4.0), until=at(9.0)) == pytest.approx(200)
    assert post_interrupt_latency_ms(agent, at(3.4), user_end=at(4.5), until=at(9.0)) == pytest.approx(-300)
    assert post_interrupt_latency_ms(agent, at(3.4), user_end=at(4.0), until=at(4.2)) is None
    assert resume_latency_ms(agent, at(3.4)) == pytest.approx(800)
    assert resume_latency_ms(spans((1.0, 3.4), (5.5, 6.0)), at(3.4)) is None
    assert post_interrupt_latency_ms(spans((1.0, 3.4)), at(3.4), at(4.0), at(9.0)) is None


# --- takeover ---------------------------------------------------------------------------------------------------------

TURN, PAUSE = Span(at(1.0), at(6.0)), Span(at(3.0), at(4.0))
USER = spans((1.0, 3.0), (4.0, 6.0))


def test_an_answer_after_the_turn_or_just_before_its_end_takes_nothing() -> None:
    for onset in (5.6, 6.0, 6.3):
        assert not takeover.premature_takeover(spans((onset, onset + 2)), TURN, [PAUSE])
    assert takeover.premature_takeover(spans((5.4, 7.4)), TURN, [PAUSE])


def test_an_answer_into_a_pause_takes_the_turn_and_a_backchannel_does_not() -> None:
    assert takeover.premature_takeover(spans((3.3, 5.0)), TURN, [PAUSE])
    assert not takeover.premature_takeover(spans((3.3, 3.8)), TURN, [PAUSE])


def test_a_late_pause_counts_though_it_lies_in_the_last_half_second() -> None:
    late = Span(at(5.5), at(5.9))
    assert takeover.premature_takeover(spans((5.6, 8.0)), TURN, [late])
    assert not takeover.premature_takeover(spans((5.6, 8.0)), TURN, [])


def test_backchannels_and_interruptions_share_the_onsets_inside_speech() -> None:
    agent = spans((1.5, 1.9), (3.2, 3.4), (4.5, 7.5))
    assert takeover.backchannels(agent, USER) == [agent[0]]
    assert takeover.interruptions(agent, USER) == [agent[2]]
    assert takeover.interruptions(spans((5.9, 6.8)), USER) == spans((5.9, 6.8))  # short, but it outlives the user


def test_a_backchannel_comes_so_long_after_the_users_last_sound() -> None:
    assert takeover.backchannel_timing_ms(Span(at(3.2), at(3.4)), USER) == pytest.approx(200)
    assert takeover.backchannel_timing_ms(Span(at(4.5), at(4.9)), USER) == 0


def test_unprompted_speech_is_counted_once_an_episode() -> None:
    agent = spans((2.0, 3.0), (3.5, 5.0), (9.0, 10.0), (12.0, 12.05))
    assert takeover.unprompted(agent, 0, at(30)) == spans((2.0, 5.0), (9.0, 10.0))
    assert takeover.unprompted(agent, at(6), at(8)) == []


# --- the battery ------------------------------------------------------------------------------------------------------


def test_pauses_gaps_and_overlaps() -> None:
    found = battery.events(spans((1.0, 2.0), (2.5, 4.0)), spans((3.5, 5.0), (6.0, 7.0), (7.1, 8.0)))
    assert found["pause"] == spans((2.0, 2.5), (5.0, 6.0))
    assert found["gap"] == [] and found["overlap"] == spans((3.5, 4.0))
    assert found["ipu"] == spans((1.0, 2.0), (2.5, 4.0), (3.5, 5.0), (6.0, 8.0))
    assert battery.events(spans((1.0, 2.0)), spans((2.3, 3.0)))["gap"] == spans((2.0, 2.3))


def test_rates_are_pooled_over_recordings() -> None:
    one, other = battery.events(spans((0.0, 6.0)), []), battery.events([], spans((1.0, 3.0), (10.0, 12.0)))
    rates = battery.pooled([(one, at(10)), (other, at(20))])
    assert rates["ipu"] == battery.Rate(pytest.approx(6.0), pytest.approx(20.0), 3)
    assert rates["pause"].n == 1 and rates["gap"].n == 0
    assert battery.pooled([]) == {}


def test_a_reference_is_at_no_distance_from_itself() -> None:
    found = battery.events(spans((1.0, 2.0), (2.5, 4.0)), spans((3.5, 5.0)))
    assert battery.distance([found], [found]) == {"ipu": 0.0, "pause": 0.0, "gap": None, "overlap": 0.0}
    later = battery.events(spans((1.0, 2.0), (2.7, 4.0)), [])
    assert battery.distance([found], [later])["pause"] == pytest.approx(0.2)


moments = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=8)


@given(moments, moments)
def test_speech_and_silence_fill_the_time_between_first_and_last(a: list, b: list) -> None:
    sides = [clean(Span(at(x / 20), at(y / 20)) for x, y in side) for side in (a, b)]
    found = battery.events(*sides)
    seconds = {kind: sum(s.ms for s in found[kind]) / 1000 for kind in battery.KINDS}
    if not found["ipu"]:
        return
    length = (max(s.end for s in found["ipu"]) - min(s.begin for s in found["ipu"])) / SAMPLE_RATE
    assert seconds["ipu"] - seconds["overlap"] + seconds["pause"] + seconds["gap"] == pytest.approx(length)
    swapped = battery.events(*reversed(sides))
    assert {k: sorted(swapped[k]) for k in battery.KINDS} == {k: sorted(found[k]) for k in battery.KINDS}
