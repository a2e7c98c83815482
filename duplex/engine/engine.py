"""One device thread that steps a Model for everybody who has a frame waiting.

There is no timer: while one step runs, frames of other sessions gather, and the next step takes them all. A session
without a frame is masked; it waits for nobody and nobody waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from duplex.engine.forcing import FREE
from duplex.engine.model import Heard, Said
from duplex.engine.seats import Seats, mask
from duplex.events import Took
from duplex.frame import FRAME_MS, FRAME_SAMPLES, Frame
from duplex.session import Sampling

_CLOSED = "the engine is closed"


class Steps(Protocol):
    """What the engine needs of a model."""

    rows: int
    codebooks: int
    cardinality: int

    def seat(self, row: int, sampling: Sampling) -> None: ...

    def step(self, heard: Heard) -> Said: ...


@dataclass(frozen=True, slots=True)
class Voiced:
    """One row's share of a step."""

    pcm: np.ndarray  # float32 [1920]
    codes: np.ndarray  # int64 [K]
    text: int
    took: Took | None = None  # None: nobody asked


@dataclass(slots=True)
class _Wait:
    """One session's frame, until its answer is there."""

    row: int
    frame: Frame
    begins: Sampling | None  # set on the first frame of a session
    since_s: float | None  # when it came, where somebody asks how long it took
    forced: int  # the text token to say in this tick, or FREE
    answer: Future[Voiced] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How the last steps compare with the 80 ms they may take."""

    steps: int
    missed: int  # steps that took longer than a frame, since the engine began
    p50_ms: float
    p99_ms: float


class Engine:
    """Owns the model, its thread and its seats."""

    def __init__(self, load: Callable[[], Steps], now: Callable[[], float] = time.monotonic) -> None:
        """Runs `load` on the device thread and waits for it; whatever it raises is raised here."""
        self.now = now  # monotonic seconds
        self._waiting: deque[_Wait] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._step_ms: deque[float] = deque(maxlen=4096)
        self._steps = self._missed = 0
        loaded: Future[Steps] = Future()
        self._thread = threading.Thread(target=self._run, args=(load, loaded), name="device", daemon=True)
        self._thread.start()
        self.model = loaded.result()
        self.seats = Seats(self.model.rows)

    def post(
        self, row: int, frame: Frame, begins: Sampling | None = None, timed: bool = False, forced: int = FREE
    ) -> Future[Voiced]:
        """Queue one frame of the session in `row`; `begins` is its sampling, with its first frame only.

        `timed` asks for `Voiced.took`; `forced` is the text token to say in this tick.
        """
        wait = _Wait(row, frame, begins, self.now() if timed else None, forced)
        with self._wake:
            if self._closed:
                raise RuntimeError(_CLOSED)
            self._waiting.append(wait)
            self._wake.notify()
        return wait.answer

    def deadlines(self) -> Deadlines:
        """Statistics of the last 4,096 steps."""
        times = np.array(self._step_ms or [0.0])
        p50, p99 = np.percentile(times, [50, 99])
        return Deadlines(self._steps, self._missed, float(p50), float(p99))

    def close(self) -> None:
        """Stop the thread; frames still waiting get a RuntimeError. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self, load: Callable[[], Steps], loaded: Future[Steps]) -> None:
        try:
            model = load()
        except BaseException as error:
            loaded.set_exception(error)
            return
        loaded.set_result(model)
        while batch := self._gather():
            self._answer(model, batch)
        for wait in self._waiting:
            if wait.answer.set_running_or_notify_cancel():
                wait.answer.set_exception(RuntimeError(_CLOSED))

    def _gather(self) -> list[_Wait]:
        """Everyone who waits, at most one frame a row; [] once closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            batch: dict[int, _Wait] = {}
            later: deque[_Wait] = deque()
            for wait in self._waiting:
                if wait.row in batch:
                    later.append(wait)
                elif wait.answer.set_running_or_notify_cancel():
                    batch[wait.row] = wait
            self._waiting = later
        return list(batch.values()) or self._gather()

    def _answer(self, model: Steps, batch: list[_Wait]) -> None:
        began = self.now()
        try:
            for wait in batch:
                if wait.begins is not None:
                    model.seat(wait.row, wait.begins)
            said = model.step(_heard(batch, model.rows, model.codebooks))
        except Exception as error:  # one failed step must not end the thread: every session in it is told
            for wait in batch:
                wait.answer.set_exception(error)
            return
        self._count((self.now() - began) * 1000)
        for wait in batch:
            row, took = wait.row, _took(wait, began, said)
            wait.answer.set_result(Voiced(said.pcm[row].copy(), said.codes[row].copy(), int(said.text[row]), took))

    def _count(self, step_ms: float) -> None:
        self._step_ms.append(step_ms)
        self._steps += 1
        self._missed += step_ms > FRAME_MS


def _took(wait: _Wait, began_s: float, said: Said) -> Took | None:
    if wait.since_s is None:
        return None
    stages = {f"{stage}_ms": round(ms, 2) for stage, ms in said.took_ms.items()}
    return Took(queue_ms=round((began_s - wait.since_s) * 1000, 2), **stages)


def _heard(batch: Iterable[_Wait], rows: int, codebooks: int) -> Heard:
    pcm = np.zeros((rows, FRAME_SAMPLES), np.float32)
    codes = np.zeros((rows, codebooks), np.int64)
    forced = np.full(rows, FREE, np.int64)
    for wait in batch:
        forced[wait.row] = wait.forced
        if wait.frame.codes is not None:
            codes[wait.row] = wait.frame.codes
        elif wait.frame.pcm is not None:
            pcm[wait.row] = wait.frame.pcm
    return Heard(
        active=np.array(mask((wait.row for wait in batch), rows)),
        first=np.array(mask((wait.row for wait in batch if wait.begins is not None), rows)),
        by_pcm=np.array(mask((wait.row for wait in batch if wait.frame.codes is None), rows)),
        pcm=pcm,
        codes=codes,
        forced=forced if (forced != FREE).any() else None,
    )
