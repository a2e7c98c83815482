"""The play-out buffer: sound in order, and every mark once, in order, when its place has been played."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duplex.clients.playout import Loudspeaker, Playout

acts = st.lists(
    st.tuples(st.just("push"), st.integers(0, 700))
    | st.tuples(st.just("pull"), st.integers(0, 400))
    | st.tuples(st.sampled_from(["mark", "clear"]), st.just(0)),
    max_size=40,
)


def test_a_mark_comes_back_when_its_place_has_been_played():
    buffer = Playout()
    buffer.push(np.ones(160, np.float32))
    buffer.mark("a")
    buffer.push(np.full(100, 0.5, np.float32))
    buffer.mark("b")
    assert buffer.passed() == [] and buffer.pending_samples == 260
    assert buffer.pull(159).tolist() == [1.0] * 159 and buffer.passed() == []
    assert buffer.pull(1).tolist() == [1.0] and buffer.passed() == ["a"]
    assert buffer.pull(160).tolist() == [0.5] * 100 + [0.0] * 60 and buffer.passed() == ["b"]
    assert buffer.pull(2).tolist() == [0.0, 0.0] and buffer.passed() == []


def test_a_mark_behind_nothing_comes_back_at_once():
    buffer = Playout()
    buffer.mark("a")
    assert buffer.passed() == ["a"] and buffer.passed() == []


def test_a_clear_drops_the_sound_and_returns_the_marks():
    buffer = Playout()
    buffer.push(np.ones(320, np.float32))
    buffer.mark("a")
    buffer.mark("b")
    buffer.pull(10)
    buffer.clear()
    assert buffer.passed() == ["a", "b"] and not buffer.pull(320).any()
    buffer.push(np.ones(5, np.float32))
    buffer.mark("c")
    assert buffer.pull(4).all() and buffer.passed() == []
    assert buffer.pull(4).tolist() == [1, 0, 0, 0] and buffer.passed() == ["c"]


@given(acts)
def test_nothing_is_lost_doubled_or_out_of_order(acts):
    buffer, names, sent, played, dropped = Playout(), iter(range(100)), 0, [], []
    marks: list[tuple[int, int]] = []  # (place in what was sent, name)
    back: list[int] = []
    for act, n in acts:
        if act == "push":
            buffer.push(np.arange(sent + 1, sent + n + 1, dtype=np.float32))
            sent += n
        elif act == "pull":
            sound = buffer.pull(n)
            assert len(sound) == n and sound.dtype == np.float32
            played += [int(s) for s in sound if s]
        elif act == "mark":
            marks.append((sent, next(names)))
            buffer.mark(str(marks[-1][1]))
        else:
            dropped += range(sent - buffer.pending_samples + 1, sent + 1)
            buffer.clear()
        back += [int(name) for name in buffer.passed()]
        gone = len(played) + len(dropped)
        assert back == [name for place, name in marks if place <= gone]
    assert buffer.pending_samples == sent - len(played) - len(dropped)
    assert sorted(played + dropped) == list(range(1, len(played) + len(dropped) + 1)) and played == sorted(played)


def test_a_loudspeaker_plays_from_the_sample_at_which_sound_came():
    now_ms = 0.0
    speaker = Loudspeaker(lambda: now_ms)
    now_ms = 10.0
    speaker.push(np.full(480, 0.5, np.float32))  # 20 ms
    now_ms = 15.0
    speaker.push(np.ones(240, np.float32))  # after what is queued
    assert speaker.take(20.0).tolist() == [0.0] * 240 + [0.5] * 240
    now_ms = 35.0
    speaker.clear()  # 5 ms of the second had been played
    now_ms = 41.0
    assert speaker.take(40.0).tolist() == [0.5] * 240 + [1.0] * 120 + [0.0] * 120
    speaker.push(np.ones(24, np.float32))
    assert speaker.take(43.0).tolist() == [0.0] * 24 + [1.0] * 24 + [0.0] * 24
