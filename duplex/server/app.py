"""The aiohttp application: routes to wires, health, admission. Holds no protocol and does no model work."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Literal

from aiohttp import web

from duplex.protocols.moshi import MoshiWire
from duplex.protocols.opus import Opus
from duplex.protocols.pcm import PcmWire
from duplex.protocols.query import asked
from duplex.protocols.tokens import TokensWire
from duplex.protocols.wire import BadMessage, Wire
from duplex.server.config import ServerConfig
from duplex.server.conversation import BROKEN, FINE, GOING_AWAY, POLICY, TRY_LATER, Conversation, End, Pace
from duplex.server.door import door
from duplex.server.house import House
from duplex.server.websocket import WebSocket
from duplex.session import Agent, AtCapacity, Capabilities, Unsupported

log = logging.getLogger(__name__)

HOUSE = web.AppKey("house", House)
_AGENTS = web.AppKey("agents", Mapping[str, Agent])
_CONFIG = web.AppKey("config", ServerConfig)
_VERSION = version("duplex")


@dataclass(frozen=True, slots=True)
class Route:
    """A wire that is served, and what its sessions carry."""

    kind: type[Wire]
    medium: Literal["pcm", "codes"]
    open: Callable[[Mapping[str, str], Capabilities], Wire]  # the client's query, the agent -> its wire


ROUTES: Mapping[str, Route] = {
    "/api/chat": Route(MoshiWire, "pcm", lambda query, can: MoshiWire(Opus())),
    "/api/tokens": Route(TokensWire, "codes", lambda query, can: TokensWire(can)),
    "/api/pcm": Route(PcmWire, "pcm", lambda query, can: PcmWire(can, query.get("format", "s16"))),
}


def make_app(agents: Mapping[str, Agent], config: ServerConfig | None = None) -> web.Application:
    """The application that serves `agents`, the first of which is the default. Opens and closes none of them."""
    config = config or ServerConfig()
    app = web.Application(middlewares=[door(config)])
    app[HOUSE], app[_AGENTS], app[_CONFIG] = House(), agents, config
    app.router.add_get("/", _index)
    app.router.add_get("/health", _health)
    for path in ROUTES:
        app.router.add_get(path, _converse)
    return app


async def _index(request: web.Request) -> web.Response:
    lines = [f"duplex {_VERSION}", f"agents: {', '.join(request.app[_AGENTS])}", "websockets: " + ", ".join(ROUTES)]
    return web.Response(text="\n".join([*lines, "health: /health", ""]))


async def _health(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    agents = {name: _described(a.capabilities, house.in_use[name]) for name, a in request.app[_AGENTS].items()}
    status = "draining" if house.draining else "ok"
    return web.json_response({"status": status, "version": _VERSION, "agents": agents})


def _described(can: Capabilities, in_use: int) -> dict[str, object]:
    return {**asdict(can), "notes": [kind.__name__ for kind in can.notes], "seats_in_use": in_use}


async def _converse(request: web.Request) -> web.WebSocketResponse:
    socket = WebSocket()
    await socket.response.prepare(request)
    end = await _hosted(request, socket)
    await socket.hang_up(end, [] if end.code == FINE else ROUTES[request.path].kind.refuse(end.reason))
    return socket.response


async def _hosted(request: web.Request, socket: WebSocket) -> End:
    house, agents, route = request.app[HOUSE], request.app[_AGENTS], ROUTES[request.path]
    name = request.query.get("agent") or next(iter(agents))
    if house.draining:
        return End(GOING_AWAY, "the server is shutting down")
    if name not in agents:
        return End(POLICY, f"no agent {name!r}; here: {', '.join(agents)}")
    with house.guest(name) as number:
        try:
            wire = route.open(request.query, agents[name].capabilities)
            session = await agents[name].open(asked(request.query, route.medium))
        except AtCapacity as error:
            return End(TRY_LATER, str(error))
        except (BadMessage, Unsupported) as error:
            return End(POLICY, str(error))
        except Exception:
            log.exception("%s could not open a session", name)
            return End(BROKEN, f"{name} could not open a session; the server's log says why")
        log.info("conversation %d opened: %s on %s", number, name, request.path)
        config, now = request.app[_CONFIG], time.monotonic
        pace = Pace(config.ahead_ms / 1000 if config.paced else math.inf, now)
        return await _held(Conversation(session, wire, socket, pace, config, now), house, number)


async def _held(conversation: Conversation, house: House, number: int) -> End:
    began_s, end = time.monotonic(), End(BROKEN, "cancelled")
    try:
        end = await conversation.run(house.closing)
        return end
    finally:
        await conversation.session.close()
        ticks, held_s = (conversation.heard_ticks, conversation.said_ticks), time.monotonic() - began_s
        log.info("conversation %d closed: %d %s; heard %d, said %d ticks in %.1f s", number, *end, *ticks, held_s)
