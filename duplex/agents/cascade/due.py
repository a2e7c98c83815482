"""Background work that pays for its time in ticks. Knows nothing about speech.

One code path for live sessions and for sessions that run faster than real time: an item that was ready `elapsed`
seconds after its job began is released `ceil(elapsed / 80 ms)` ticks after the tick in which it began, and a session
that is ahead of the clock waits for the work in flight. Live, a step is never ahead, so nothing waits.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from duplex.frame import FRAME_SECONDS

T = TypeVar("T")
_EPSILON = 1e-6  # ticks: an item ready exactly on a tick belongs to that tick, whatever the rounding
_GRACE_S = 1.0  # how long a cancelled job may take to let go


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """An item and when it was ready, in milliseconds since its job began."""

    item: T
    ms: float


class Due(Generic[T]):
    """The items of one job, begun in tick `began`. Owns the job's task: `close` it."""

    def __init__(self, items: AsyncGenerator[T, None], began: int, now: Callable[[], float]) -> None:
        self.began = began
        self._now, self._t0 = now, now()
        self._ready: deque[Ready[T]] = deque()
        self._task = asyncio.create_task(self._run(items))

    @property
    def finished(self) -> bool:
        """The job is over and everything it made was released."""
        return self._task.done() and not self._ready

    async def pace(self, t: int) -> None:
        """Wait until the clock reaches tick t, or the job is over."""
        ahead = (t - self.began) * FRAME_SECONDS - (self._now() - self._t0)
        if ahead > 0 and not self._task.done():
            await asyncio.wait([self._task], timeout=ahead)

    def waiting(self, t: int) -> list[T]:
        """The items that are due in tick t and were not taken, as far as they are known now."""
        return [ready.item for ready in self._ready if self._tick(ready) <= t]

    async def by(self, t: int) -> list[Ready[T]]:
        """The items that are due in tick t or before, oldest first. Raises what the job raised."""
        await self.pace(t)
        due: list[Ready[T]] = []
        while self._ready and self._tick(self._ready[0]) <= t:
            due.append(self._ready.popleft())
        if self.finished and not self._task.cancelled():
            self._task.result()
        return due

    def cancel(self) -> None:
        """Ask the job to stop. It counts as work in flight until it has."""
        self._ready.clear()
        self._task.cancel()

    async def close(self) -> None:
        """Stop the job and wait until it is over; one that will not stop within a second is left behind."""
        for _ in range(2):  # the first cancels the work, the second also the wait for a thread that hangs
            self.cancel()
            await asyncio.wait([self._task], timeout=_GRACE_S)

    async def _run(self, items: AsyncGenerator[T, None]) -> None:
        async with aclosing(items):
            async for item in items:
                self._ready.append(Ready(item, (self._now() - self._t0) * 1000))

    def _tick(self, ready: Ready[T]) -> int:
        return self.began + math.ceil(ready.ms / 1000 / FRAME_SECONDS - _EPSILON)


async def in_thread(pool: Executor, call: Callable[..., T], *args: Any) -> T:
    """call(*args) in the pool. When cancelled, waits for a call that is already running: it still uses the machine."""
    job = pool.submit(call, *args)
    future = asyncio.wrap_future(job)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not job.cancel():
            await asyncio.wait([future])
            _ = future.cancelled() or future.exception()  # looked at, so that asyncio does not report it as lost
        raise
