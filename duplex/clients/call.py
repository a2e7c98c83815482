"""One call to a server from the client's side: address, handshake, frames both ways, and the reason when it fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from duplex.frame import Frame
from duplex.protocols.gemini.caller import GeminiCaller
from duplex.protocols.live.caller import LiveCaller
from duplex.protocols.moshi import MoshiCaller
from duplex.protocols.opus import Opus
from duplex.protocols.pcm import PcmCaller
from duplex.protocols.realtime.caller import RealtimeCaller
from duplex.protocols.tokens import TokensCaller
from duplex.protocols.wire import Aside, BadMessage, Caller, Hushed, Message, Ready, Refused, Sound, Told


@dataclass(frozen=True, slots=True)
class Service:
    """A wire that can be called."""

    path: str
    caller: Callable[[Mapping[str, str]], Caller]  # the query of the call -> its caller
    played: bool = False  # sound comes when it is made, to be played out of a buffer; so there is only real time


_GEMINI = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
_WORDS = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}  # OpenAI's servers tell them who asks
WIRES: Mapping[str, Service] = {
    "chat": Service("/api/chat", lambda query: MoshiCaller(Opus())),
    "tokens": Service("/api/tokens", lambda query: TokensCaller()),
    "pcm": Service("/api/pcm", lambda query: PcmCaller(query.get("format", "s16"))),
    "realtime": Service("/v1/realtime", lambda query: RealtimeCaller(_WORDS), played=True),
    "live": Service("/v1/live/sessions", lambda query: LiveCaller(query.get("agent", "")), played=True),
    "gemini": Service(_GEMINI, lambda query: GeminiCaller(query.get("agent", "")), played=True),
}
QUIET_S = 30.0  # a server that says nothing for so long is given up
_STATUS = {
    401: "the server asks for a key, or this one is wrong: give --key KEY",
    403: "the server does not let this page in",
    404: "that server has no such wire",
}


class CallFailed(ConnectionError):
    """The server cannot be reached, refuses, or broke off; the text is for a person."""


@asynccontextmanager
async def dial(
    url: str, *, wire: str, agent: str, key: str | None = None, query: Mapping[str, str] | None = None
) -> AsyncIterator[Call]:
    """An open call to `agent` at `url` (ws://host:port); hangs up at the end of the block. Raises CallFailed."""
    if wire not in WIRES:
        raise CallFailed(f"no wire {wire!r}; known: {', '.join(WIRES)}")
    query = dict(query or {}) | ({"agent": agent} if agent else {})
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    service = WIRES[wire]
    address = _base(url) + service.path
    async with aiohttp.ClientSession() as http:
        try:
            socket = await http.ws_connect(address, params=query, headers=headers, max_msg_size=16 << 20)
        except aiohttp.WSServerHandshakeError as error:
            raise CallFailed(f"{address}: {_STATUS.get(error.status, f'HTTP status {error.status}')}") from None
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
            raise CallFailed(f"no server at {address}: {error}; start one with: duplex serve") from None
        async with socket:
            call = Call(socket, service.caller(query))
            await call.answered()
            yield call


class Call:
    """An open call. One task may say while another one hears."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, caller: Caller) -> None:
        self.facts: Mapping[str, Any] = {}  # what the server told about the session
        self._socket, self._caller = socket, caller
        self._items: deque[Told] = deque()
        self._error = ""  # the last one that the server reported

    async def answered(self) -> None:
        """Returns when the session is open. Raises CallFailed."""
        await self._send(self._caller.hello())
        while not isinstance(item := await self._next(), Ready):
            pass
        self.facts = item.facts

    async def say(self, heard: Frame) -> bool:
        """Send one tick; False when the server has hung up (`hear` knows why)."""
        return await self._send(self._caller.say(heard))

    async def hear(self) -> Frame | Aside | Sound | Hushed:
        """What the agent says next, or what goes with it. Raises CallFailed when there is no more."""
        while isinstance(item := await self._next(), (Ready, Refused)):
            pass
        return item

    async def _send(self, messages: Sequence[Message]) -> bool:
        try:
            for message in messages:
                await (self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message))
        except ConnectionError:
            return False
        return True

    async def _next(self) -> Told:
        while not self._items:
            self._items.extend(await self._receive())
        item = self._items.popleft()
        if isinstance(item, Refused):
            self._error = item.reason
        return item

    async def _receive(self) -> Sequence[Told]:
        try:
            message = await self._socket.receive(QUIET_S)
        except asyncio.TimeoutError:
            raise CallFailed(f"the server has said nothing for {QUIET_S:g} s") from None
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            try:
                return self._caller.receive(message.data)
            except BadMessage as error:
                raise CallFailed(f"the server speaks another protocol: {error}") from None
        why = self._error or (message.extra if message.type is aiohttp.WSMsgType.CLOSE else "") or "no reason given"
        raise CallFailed(f"the server hung up: {why} (code {self._socket.close_code})")


def _base(url: str) -> str:
    scheme, colon, rest = url.rstrip("/").partition("://")
    if not colon:
        scheme, rest = "ws", scheme
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return f"{scheme}://{rest}"
