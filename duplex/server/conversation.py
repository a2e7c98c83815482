"""One conversation on the server: reads a socket into frames, steps the session, sends what it says, in real time.

Knows neither HTTP nor any protocol. What comes faster than real time waits in a bounded inbox, and when that is full,
the socket is not read, so that nothing is lost. Who the clock is, is for the Pace to say (duplex/server/pace.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from duplex.compat import TaskGroup
from duplex.frame import Frame
from duplex.notes import Note
from duplex.protocols.wire import BadMessage, Bye, Item, Message, Open, Reply, Steady, TooMuchSound, Wire
from duplex.server.config import ServerConfig
from duplex.server.pace import Pace
from duplex.session import Session, Unsupported

log = logging.getLogger(__name__)


class End(NamedTuple):
    """Why a conversation is over; `code` is the websocket's close code."""

    code: int
    reason: str


FINE, GOING_AWAY, BAD_DATA, POLICY, TOO_BIG, BROKEN, TRY_LATER = 1000, 1001, 1007, 1008, 1009, 1011, 1013
LEFT = End(FINE, "the client left")


class _Over(Exception):
    def __init__(self, end: End) -> None:
        self.end = end


class Socket(Protocol):
    """A connected client."""

    async def receive(self, timeout_s: float) -> Message | None:
        """The next message; None when the client has left. Raises asyncio.TimeoutError."""
        ...

    async def send(self, message: Message) -> None:
        """Raises ConnectionError when the client has left; waits while it does not read."""
        ...


class Conversation:
    """A session, the wire it is spoken over, and the client at the other end."""

    def __init__(
        self,
        session: Session,
        wire: Wire,
        socket: Socket,
        pace: Pace,
        config: ServerConfig,
        now: Callable[[], float],  # monotonic seconds
        first: Sequence[Item] = (),  # what there is to do before anything is read
    ) -> None:
        self.session, self._wire, self._socket, self._pace = session, wire, socket, pace
        self._config, self._now, self._first = config, now, first
        self._idle_s = config.silent_s if isinstance(wire, Steady) else config.idle_s
        self._inbox: asyncio.Queue[Item | End] = asyncio.Queue(config.max_backlog_ticks)
        self._quiet_since = now()
        self._over = False  # before Python 3.12 wait_for swallows a cancellation that comes together with its result
        self.heard_ticks = 0
        self.said_ticks = 0

    async def run(self, closing: asyncio.Event) -> End:
        """Until one side ends it, or `closing` is set. Closes neither the session nor the socket."""
        async with TaskGroup() as tasks:
            stepping = tasks.create_task(self._guarded(self._step()))
            others = [tasks.create_task(self._guarded(part)) for part in (self._read(), self._closed(closing))]
            running = {stepping, *others}
            end = None
            while end is None:  # a reader that is done has left its End in the inbox
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                end = next((e for task in done if (e := task.result())), None)
            self._over = True
            for task in running:
                task.cancel()
        return end

    async def _guarded(self, part: Awaitable[End | None]) -> End | None:
        try:
            return await part
        except _Over as over:
            return over.end
        except Exception:
            log.exception("a conversation failed")
            return End(BROKEN, "the agent failed; the server's log says why")

    async def _read(self) -> End | None:
        """Fills the inbox. An End that must wait for the frames before it goes there too."""
        for item in self._first:
            await self._inbox.put(item)
        while (message := await self._next()) is not None:
            items = self._items(message)
            for item in items:
                await self._inbox.put(item)
            if any(isinstance(item, (End, Bye)) for item in items):
                return None
            if items:
                self._quiet_since = self._now()
            await asyncio.sleep(0)  # a flood of tiny messages leaves room for the others
        return LEFT

    async def _next(self) -> Message | None:
        while True:
            left_s = self._quiet_since + self._idle_s - self._now()
            try:
                if left_s > 0:
                    return await self._socket.receive(left_s)
            except asyncio.TimeoutError:
                pass
            if self._inbox.empty():
                raise _Over(End(POLICY, f"nothing complete was sent for {self._idle_s:g} s"))
            self._quiet_since = self._now()  # the agent is behind: the client may well be waiting for it

    def _items(self, message: Message) -> list[Item | End]:
        if len(message) > self._config.max_message_bytes:
            return [End(TOO_BIG, f"a message may hold {self._config.max_message_bytes} bytes, got {len(message)}")]
        try:
            return [*self._wire.receive(message)]
        except BadMessage as error:
            return [End(TOO_BIG if isinstance(error, TooMuchSound) else BAD_DATA, str(error))]

    async def _step(self) -> End | None:
        while not self._over:
            item = await self._pace.next(self._inbox)
            if self._over:
                break
            if isinstance(item, End):
                return item
            if isinstance(item, Bye):
                return End(FINE, "the client said goodbye")
            if isinstance(item, Frame):
                await self._answer(item)
            elif isinstance(item, Reply):
                await self._send(list(item.messages))
            elif not isinstance(item, Open):  # a wire yields it once, before there is a conversation
                await self._tell(item)
        return None

    async def _answer(self, heard: Frame) -> None:
        await self._pace.until(heard.t)
        self.heard_ticks += 1
        said = await self.session.step(heard)
        self._pace.said(said)
        await self._send(self._wire.send(said))
        self.said_ticks += 1

    async def _tell(self, note: Note) -> None:
        try:
            await self.session.tell(note)
        except Unsupported as error:
            await self._send(self._wire.declined(note, str(error)))

    async def _send(self, messages: list[Message]) -> None:
        try:
            for message in messages:
                await asyncio.wait_for(self._socket.send(message), self._config.idle_s)
        except ConnectionError:
            raise _Over(LEFT) from None
        except asyncio.TimeoutError:
            raise _Over(End(POLICY, f"the client took no message for {self._config.idle_s:g} s")) from None

    @staticmethod
    async def _closed(closing: asyncio.Event) -> End:
        await closing.wait()
        return End(GOING_AWAY, "the server is shutting down")
