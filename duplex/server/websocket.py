"""One connected client over aiohttp, as the Socket that a conversation asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from duplex.protocols.wire import Message
from duplex.server.conversation import End

_HARD_LIMIT_BYTES = (16 << 20) + 1  # above it aiohttp hangs up by itself; ServerConfig's limit is lower
_HEARTBEAT_S = 20.0  # a client that does not answer our pings has gone
_LAST_WORDS_S = 2.0  # how long a client may take to hear why, and to answer our close
_REASON_BYTES = 123  # what a websocket's close frame holds
_BROKEN: Mapping[int, bytes] = {  # aiohttp's own reasons to hang up: it gives the code alone
    WSCloseCode.PROTOCOL_ERROR: b"a frame that the websocket protocol does not allow",
    WSCloseCode.INVALID_TEXT: b"a text message must be UTF-8",
    WSCloseCode.MESSAGE_TOO_BIG: f"a message may hold {_HARD_LIMIT_BYTES - 1} bytes".encode(),
}


class _Response(web.WebSocketResponse):
    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        return await super().close(code=code, message=message or _BROKEN.get(code, b""), drain=drain)


class WebSocket:
    """A websocket that is served."""

    def __init__(self) -> None:
        self.response = _Response(
            compress=False,
            max_msg_size=_HARD_LIMIT_BYTES,
            timeout=_LAST_WORDS_S,
            heartbeat=_HEARTBEAT_S,
            protocols=("realtime",),  # what OpenAI's browser client offers
        )

    async def receive(self, timeout_s: float) -> Message | None:
        """The next message; None when the client has left. Raises asyncio.TimeoutError."""
        message = await self.response.receive(timeout_s)
        return message.data if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None

    async def send(self, message: Message) -> None:
        """Raises ConnectionError when the client has left; waits while it does not read."""
        if isinstance(message, str):
            await self.response.send_str(message)
        else:
            await self.response.send_bytes(message)

    async def hang_up(self, end: End, last_words: Iterable[Message]) -> None:
        """Close with a reason, after the protocol's own error. Never raises, never waits long."""
        with suppress(ConnectionError, asyncio.TimeoutError):
            for message in last_words:
                await asyncio.wait_for(self.send(message), _LAST_WORDS_S)
        reason = end.reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore")
        with suppress(ConnectionError):
            await self.response.close(code=end.code, message=reason.encode())
