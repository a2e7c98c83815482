"""When a conversation's next tick is due: by the client's microphone, or by our own clock where it may be silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from duplex.frame import FRAME_SECONDS, Frame
from duplex.protocols.sound import audible
from duplex.protocols.wire import Steady, Wire

Came = TypeVar("Came")  # what a client may send

_GRACE_S = 0.3  # how late a frame of a client that was sending may be: some send a quarter of a second at a time


class Pace(Protocol):
    """Asked before every tick, told after it."""

    async def until(self, t: int) -> None:
        """Returns when frame t is due. Other tasks run in any case."""
        ...

    def said(self, said: Frame) -> None:
        """What the agent answered."""
        ...

    async def next(self, inbox: asyncio.Queue[Came]) -> Came | Frame:
        """What the client sent, or, where it may leave out sound, a frame without any when it is time for one."""
        ...


class MicrophonePace:
    """No frame, no tick; frame t is answered no earlier than its place in real time, less what may be sent ahead."""

    def __init__(
        self,
        ahead_s: float,
        now: Callable[[], float],  # monotonic seconds
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ahead_s, self._now, self._sleep = ahead_s, now, sleep
        self._start_s: float | None = None

    async def until(self, t: int) -> None:
        """The clock starts at the first call."""
        if self._start_s is None:
            self._start_s = self._now() - t * FRAME_SECONDS
        early_s = self._start_s + t * FRAME_SECONDS - self._ahead_s - self._now()
        await self._sleep(max(0.0, early_s))

    def said(self, said: Frame) -> None:
        """Makes no difference."""

    async def next(self, inbox: asyncio.Queue[Came]) -> Came:
        """Without the microphone there is no time."""
        return await inbox.get()


class SteadyPace:
    """Ticks come in real time, with the client's sound or without.

    Sound that was recorded before and sent at once is heard as fast as the agent can; what the agent says is sent no
    more than `ahead_s` before it can be played.
    """

    def __init__(
        self,
        wire: Steady,
        ahead_s: float,
        now: Callable[[], float],  # monotonic seconds
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wire, self._ahead_s, self._now, self._sleep = wire, ahead_s, now, sleep
        self._due_s = now() + FRAME_SECONDS + _GRACE_S  # when the next tick should come, at the latest
        self._played_s = now()  # when all that was said has been played
        self._made_up = False  # the tick that is being answered

    async def until(self, t: int) -> None:
        await self._sleep(max(0.0, self._played_s - self._ahead_s - self._now()))

    def said(self, said: Frame) -> None:
        now = self._now()
        if not self._made_up:
            self._due_s = now + FRAME_SECONDS + _GRACE_S
        self._made_up = False
        if said.pcm is None or audible(said.pcm):
            self._played_s = max(self._played_s, now) + FRAME_SECONDS

    async def next(self, inbox: asyncio.Queue[Came]) -> Came | Frame:
        try:
            return await asyncio.wait_for(inbox.get(), self.lull_s())
        except asyncio.TimeoutError:
            return self.lulled() if inbox.empty() else inbox.get_nowait()  # it came in the same instant

    def lull_s(self) -> float:
        """How long to wait for the client's next frame before going on without it."""
        return max(0.0, self._due_s - self._now())

    def lulled(self) -> Frame:
        """The frame with which the next tick goes on without the client's."""
        self._made_up = True
        self._due_s = max(self._due_s, self._now() - _GRACE_S) + FRAME_SECONDS
        return self._wire.lull()


def pace_of(wire: Wire, ahead_s: float, now: Callable[[], float]) -> Pace:
    """Who the clock is on that wire."""
    return SteadyPace(wire, ahead_s, now) if isinstance(wire, Steady) else MicrophonePace(ahead_s, now)
