"""Full-Duplex-Bench's numbers at the corners of their definitions, the degenerate ones too."""

from __future__ import annotations

import math

import pytest

from eval.metrics.fdb import (
    DEFECTS,
    NO_BACKCHANNEL,
    Segment,
    Word,
    backchannels,
    interruption_latency_s,
    response_intervals,
    stop_intervals,
    takeover,
    takeover_rate,
    turn_latency_s,
)


def words(*times: tuple[float, float | None]) -> list[Word]:
    return [Word(*t) for t in times]


def segments(*times: tuple[float, float]) -> list[Segment]:
    return [Segment(*t) for t in times]


def test_a_takeover_is_long_or_of_many_words() -> None:
    assert not takeover([])
    assert not takeover(words((1.0, 1.2), (1.3, 1.5), (1.6, 1.9)))
    assert takeover(words((1.0, 1.1), (1.2, 1.3), (1.4, 1.5), (1.6, 1.7)))
    assert takeover(words((1.0, 2.0))) and not takeover(words((1.0, 1.99)))
    assert not takeover(words((1.0, None)))
    assert takeover(words((1.0, 1.3), (6.0, 6.3))), DEFECTS["duration"]
    assert takeover_rate([[], words((1.0, 3.0))]) == 0.5 and takeover_rate([]) is None


def test_latency_is_never_below_nothing_and_only_of_takeovers() -> None:
    assert turn_latency_s(words((5.4, 7.0)), 5.0) == pytest.approx(0.4)
    assert turn_latency_s(words((4.0, 7.0)), 5.0) == 0.0, DEFECTS["latency"]
    assert turn_latency_s(words((5.4, 5.6)), 5.0) is None


def test_who_never_yields_answers_an_interruption_at_once() -> None:
    talks_on = words(*((t / 2, t / 2 + 0.4) for t in range(40)))
    assert interruption_latency_s(talks_on, 10.0) == 0.0, DEFECTS["interruption"]
    assert interruption_latency_s(words((2.0, 9.0), (11.5, 13.0)), 10.0) == 1.5
    assert interruption_latency_s(words((2.0, 9.0)), 10.0) is None
    assert interruption_latency_s(words((10.0, 12.0)), 10.0004) == 0.0  # cut in two; the file's times are rounded


def test_backchannels_are_short_segments_of_few_words() -> None:
    human = [0.0, 1.0, 0.0]
    one = backchannels(segments((4.9, 5.3)), words((4.9, 5.2)), 10.0, human)
    assert not one.takeover and one.per_s == 0.1 and 0 < one.jsd < math.sqrt(math.log(2))
    there, elsewhere = (backchannels(segments((t, t + 0.3)), [], 10.0, human).jsd for t in (4.9, 0.1))
    assert there < elsewhere
    assert backchannels([], [], 10.0, human) == (False, 0.0, NO_BACKCHANNEL)


def test_the_last_segment_decides_and_a_long_one_ends_the_search() -> None:
    three = words((1.0, 1.2), (1.2, 1.4), (1.4, 1.6))
    assert backchannels(segments((1.0, 1.7)), three, 10.0, [1, 1]).takeover
    assert not backchannels(segments((1.0, 1.7), (5.0, 5.3)), three, 10.0, [1, 1]).takeover, DEFECTS["backchannel"]
    long = backchannels(segments((1.0, 1.3), (2.0, 5.5), (7.0, 7.3)), [], 10.0, [1, 1])
    assert long.takeover and long.per_s == 0.1
    assert backchannels(segments((1.0, 2.5)), [], 10.0, [1, 1]).takeover  # from 1 to 3 s without a word


def test_a_stop_that_never_was_ends_with_the_user() -> None:
    user = segments((7.0, 10.0))
    assert stop_intervals(user, segments((0.0, 20.0))) == segments((7.0, 10.0)), DEFECTS["stop"]
    assert stop_intervals(user, segments((0.0, 7.8), (12.0, 15.0))) == segments((7.0, 7.8))
    assert stop_intervals(user, segments((11.0, 12.0))) == []


def test_segments_are_joined_before_they_are_compared() -> None:
    user = segments((7.0, 8.0), (8.5, 10.0), (10.7, 12.0))
    assert stop_intervals(user, segments((0.0, 20.0))) == segments((7.0, 10.0), (10.7, 12.0))
    model = segments((1.0, 7.5), (8.0, 8.4), (9.0, 9.2))
    assert stop_intervals(user, model) == segments((7.0, 8.4), (9.0, 9.2))


def test_a_response_is_the_first_start_after_the_user() -> None:
    user = segments((1.0, 3.0), (5.0, 6.0))
    assert response_intervals(user, segments((3.5, 4.0), (6.4, 8.0))) == segments((3.0, 3.5), (6.0, 6.4))
    assert response_intervals(user, segments((6.4, 8.0))) == segments((6.0, 6.4))  # one start, the latest end
    early = response_intervals(user, segments((2.8, 4.0), (9.0, 10.0)))
    assert early == segments((6.0, 9.0)), DEFECTS["response"]
