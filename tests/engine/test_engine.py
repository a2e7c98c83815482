"""The device thread: gathers who waits, answers each, survives errors and closing."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from duplex.engine.engine import Engine
from duplex.engine.forcing import FREE
from duplex.engine.model import Heard, Said
from duplex.engine.seats import Seats
from duplex.events import Took
from duplex.frame import Frame, silence
from duplex.session import AtCapacity, Sampling


class CountingModel:
    """Says its tick number, counted per row; can be held up and can fail."""

    rows, codebooks, cardinality = 3, 2, 8

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()
        self.steps: list[Heard] = []
        self.fail = False
        self._age = np.zeros(self.rows, np.int64)

    def seat(self, row: int, sampling: Sampling) -> None:
        self._age[row] = 0

    def step(self, heard: Heard) -> Said:
        self.began.set()
        self.go.wait()
        if self.fail:
            raise RuntimeError("out of memory")
        self.steps.append(heard)
        self._age += heard.active
        return Said(heard.pcm, np.tile(self._age[:, None], (1, 2)), self._age.copy())


@pytest.fixture
def model():
    return CountingModel()


@pytest.fixture
def engine(model):
    made = Engine(lambda: model)
    yield made
    model.go.set()
    made.close()


def test_sessions_that_wait_share_the_next_step(engine, model):
    model.go.clear()
    first = engine.post(0, silence(0), Sampling())
    model.began.wait(5)
    others = [engine.post(row, Frame(0, codes=np.array([row, row])), Sampling()) for row in (1, 2)]
    model.go.set()
    assert [f.result(5).text for f in (first, *others)] == [1, 1, 1]
    assert [step.active.tolist() for step in model.steps] == [[True, False, False], [False, True, True]]
    assert model.steps[1].codes.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert [step.by_pcm[row] for step, row in zip(model.steps, (0, 1), strict=True)] == [True, False]


def test_a_forced_token_reaches_its_row_alone(engine, model):
    engine.post(1, silence(0), Sampling(), forced=7).result(5)
    engine.post(1, silence(1)).result(5)
    forced = model.steps[0].forced
    assert forced is not None and forced.tolist() == [FREE, 7, FREE]
    assert model.steps[1].forced is None  # nobody is made to say anything


def test_two_frames_of_one_session_are_two_steps(engine, model):
    model.go.clear()
    engine.post(0, silence(0), Sampling())
    model.began.wait(5)
    answers = [engine.post(1, silence(t), Sampling() if t == 0 else None) for t in range(3)]
    model.go.set()
    assert [answer.result(5).text for answer in answers] == [1, 2, 3]
    assert [bool(step.first[1]) for step in model.steps] == [False, True, False, False]


def test_a_failed_step_is_told_and_the_next_one_works(engine, model):
    model.fail = True
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.post(0, silence(0), Sampling()).result(5)
    model.fail = False
    assert engine.post(0, silence(1)).result(5).text == 1


def test_an_abandoned_frame_is_not_stepped(engine, model):
    model.go.clear()
    first = engine.post(0, silence(0), Sampling())
    model.began.wait(5)
    abandoned = engine.post(1, silence(0), Sampling())
    assert abandoned.cancel()
    model.go.set()
    first.result(5)
    engine.post(2, silence(0), Sampling()).result(5)
    assert not any(step.active[1] for step in model.steps)


def test_deadlines_are_counted_on_the_clock_it_was_given(model):
    times = iter([0.0, 0.05, 1.0, 1.1])  # a step of 50 ms, one of 100 ms
    engine = Engine(lambda: model, now=lambda: next(times))
    for t in range(2):
        engine.post(0, silence(t), Sampling() if t == 0 else None).result(5)
    engine.close()
    seen = engine.deadlines()
    assert (seen.steps, seen.missed) == (2, 1)
    assert seen.p50_ms == pytest.approx(75.0)


def test_who_asks_is_told_how_long_he_waited_and_what_the_step_took(model):
    step = model.step
    model.step = lambda heard: replace(step(heard), took_ms={"encode": 5.0, "depth": 12.5})
    times = iter([0.0, 0.03, 0.08, 1.0, 1.02])  # posted, begun 30 ms later, done; the second is not timed
    engine = Engine(lambda: model, now=lambda: next(times))
    took = engine.post(0, silence(0), Sampling(), timed=True).result(5).took
    assert took == Took(queue_ms=30.0, encode_ms=5.0, depth_ms=12.5) and took.decode_ms is None
    assert engine.post(0, silence(1)).result(5).took is None
    engine.close()


def test_what_loading_raises_is_raised_to_the_caller():
    def load():
        raise FileNotFoundError("model.safetensors")

    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        Engine(load)


def test_closing_tells_who_waits_and_refuses_more(engine, model):
    model.go.clear()
    engine.post(0, silence(0), Sampling())
    model.began.wait(5)
    waiting = engine.post(1, silence(0), Sampling())
    closer = threading.Thread(target=engine.close)
    closer.start()
    model.go.set()
    closer.join(5)
    assert "closed" in str(waiting.exception(5))
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.post(2, silence(0), Sampling())


def test_seats():
    seats = Seats(2)
    assert (seats.take(), seats.take(), seats.taken) == (0, 1, 2)
    with pytest.raises(AtCapacity, match="all 2 seats"):
        seats.take()
    seats.give_back(0)
    with pytest.raises(ValueError, match="seat 0 was not taken"):
        seats.give_back(0)
    assert seats.take() == 0
