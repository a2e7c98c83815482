"""The aiohttp application: routes to wires, health, admission. Holds no protocol and does no model work."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version

from aiohttp import web

from duplex.protocols.wire import BadMessage, Reply, Wire
from duplex.server.config import ServerConfig
from duplex.server.conversation import BROKEN, FINE, GOING_AWAY, LEFT, POLICY, TRY_LATER, Conversation, End
from duplex.server.door import door
from duplex.server.house import House
from duplex.server.lobby import Guest, ask
from duplex.server.pace import pace_of
from duplex.server.routes import ROUTES, Route, addresses
from duplex.server.twilio import VOICE, voice
from duplex.server.websocket import WebSocket
from duplex.session import Agent, AtCapacity, Capabilities, Session, SessionConfig, Unsupported

log = logging.getLogger(__name__)

HOUSE = web.AppKey("house", House)
_AGENTS = web.AppKey("agents", Mapping[str, Agent])
_CONFIG = web.AppKey("config", ServerConfig)
_VERSION = version("duplex")


def make_app(agents: Mapping[str, Agent], config: ServerConfig | None = None) -> web.Application:
    """The application that serves `agents`, the first of which is the default. Opens and closes none of them."""
    config = config or ServerConfig()
    app = web.Application(middlewares=[door(config)])
    app[HOUSE], app[_AGENTS], app[_CONFIG] = House(), agents, config
    app.router.add_get("/", _index)
    app.router.add_get("/health", _health)
    app.router.add_get("/v1/models", _models)
    app.router.add_get(VOICE, voice)
    app.router.add_post(VOICE, voice)
    for path, route in ROUTES.items():
        app.router.add_get(path, partial(_converse, route))
    return app


async def _index(request: web.Request) -> web.Response:
    lines = [
        f"duplex {_VERSION}",
        f"agents: {', '.join(request.app[_AGENTS])}",
        "websockets: " + ", ".join(addresses()),
    ]
    return web.Response(text="\n".join([*lines, "health: /health", ""]))


async def _health(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    agents = {name: _described(a.capabilities, house.in_use[name]) for name, a in request.app[_AGENTS].items()}
    status = "draining" if house.draining else "ok"
    return web.json_response({"status": status, "version": _VERSION, "agents": agents})


async def _models(request: web.Request) -> web.Response:
    """As OpenAI's clients ask for it: our agents, and the names that the operator has given them besides."""
    names = [*request.app[_AGENTS], *(name for name in request.app[_CONFIG].models if name not in request.app[_AGENTS])]
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "duplex"} for name in names]
    return web.json_response({"object": "list", "data": models})


def _described(can: Capabilities, in_use: int) -> dict[str, object]:
    return {**asdict(can), "notes": [kind.__name__ for kind in can.notes], "seats_in_use": in_use}


async def _converse(route: Route, request: web.Request) -> web.WebSocketResponse:
    socket = WebSocket()
    await socket.response.prepare(request)
    try:
        end = await _hosted(route, request, socket)
    except ConnectionError:
        end = LEFT
    await socket.hang_up(end, [] if end.code == FINE else route.kind.refuse(end.reason))
    return socket.response


async def _hosted(route: Route, request: web.Request, socket: WebSocket) -> End:
    house, config = request.app[HOUSE], request.app[_CONFIG]
    if house.draining:
        return End(GOING_AWAY, "the server is shutting down")
    try:
        wire = route.make(request.query, config.max_message_s)
        wish = route.wish(request.query) if route.wish else None
    except BadMessage as error:
        return End(POLICY, str(error))
    guest = Guest(wish, []) if wish else await ask(wire, socket, config, time.monotonic)
    if isinstance(guest, End):
        return guest
    agents = request.app[_AGENTS]
    name = host_of(guest.wish.agent, agents, config.models)
    if route.ours and guest.wish.agent not in ("", *agents):
        return End(POLICY, f"no agent {guest.wish.agent!r}; here: {', '.join(agents)}")
    with house.guest(name) as number:
        opened = await _opened(agents[name], guest.wish.config, wire)
        if isinstance(opened, End):
            return opened
        session, hello = opened
        log.info("conversation %d opened: %s on %s", number, name, request.path)
        pace = pace_of(wire, config.ahead_ms / 1000 if config.paced else math.inf, time.monotonic)
        first = [hello, *guest.rest]
        return await _held(Conversation(session, wire, socket, pace, config, time.monotonic, first), house, number)


async def _opened(agent: Agent, config: SessionConfig, wire: Wire) -> tuple[Session, Reply] | End:
    try:
        hello = Reply(tuple(wire.hello(agent.capabilities)))  # before there is a seat that could be lost
        return await agent.open(config), hello
    except AtCapacity as error:
        return End(TRY_LATER, str(error))
    except Unsupported as error:
        return End(POLICY, str(error))
    except Exception:
        name = agent.capabilities.name
        log.exception("%s could not open a session", name)
        return End(BROKEN, f"{name} could not open a session; the server's log says why")


def host_of(wanted: str, agents: Mapping[str, Agent], models: Mapping[str, str]) -> str:
    """The agent that answers a client's `wanted`: by its name, the operator's choice, its model, or the first."""
    if wanted in agents:
        return wanted
    if models.get(wanted) in agents:
        return models[wanted]
    named = (name for name, agent in agents.items() if agent.capabilities.model == wanted)
    return next(named, next(iter(agents)))


async def _held(conversation: Conversation, house: House, number: int) -> End:
    began_s, end = time.monotonic(), End(BROKEN, "cancelled")
    try:
        end = await conversation.run(house.closing)
        return end
    finally:
        await conversation.session.close()
        ticks, held_s = (conversation.heard_ticks, conversation.said_ticks), time.monotonic() - began_s
        log.info("conversation %d closed: %d %s; heard %d, said %d ticks in %.1f s", number, *end, *ticks, held_s)
