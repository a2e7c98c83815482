"""Before there is a conversation: a client whose first messages say whom it wants to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from duplex.protocols.wire import BadMessage, Bye, Item, Open, Reply, Wire
from duplex.server.config import ServerConfig
from duplex.server.conversation import BAD_DATA, FINE, LEFT, POLICY, TOO_BIG, End, Socket


class Guest(NamedTuple):
    """What a client asked for, and what else it has said already."""

    wish: Open
    rest: list[Item]


async def ask(wire: Wire, socket: Socket, config: ServerConfig, now: Callable[[], float]) -> Guest | End:
    """Read until the client has said it, for `idle_s` seconds at most. Raises ConnectionError when it has left."""
    until_s = now() + config.idle_s
    while (left_s := until_s - now()) > 0:
        try:
            message = await socket.receive(left_s)
        except asyncio.TimeoutError:
            break
        if message is None:
            return LEFT
        if len(message) > config.max_message_bytes:
            return End(TOO_BIG, f"a message may hold {config.max_message_bytes} bytes, got {len(message)}")
        try:
            items = wire.receive(message)
        except BadMessage as error:
            return End(BAD_DATA, str(error))
        for at, item in enumerate(items):
            if isinstance(item, Open):
                return Guest(item, items[at + 1 :])
            if isinstance(item, Bye):
                return End(FINE, "the client said goodbye")
            if isinstance(item, Reply):
                for reply in item.messages:
                    await socket.send(reply)
        await asyncio.sleep(0)  # a flood of tiny messages leaves room for the others
    return End(POLICY, f"no session was asked for in {config.idle_s:g} s")
