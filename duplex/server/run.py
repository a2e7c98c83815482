"""The server as a process: opens the agents, listens, and drains when it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import shlex
import signal
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from duplex.agents import open_agent
from duplex.checkpoint import home
from duplex.config import from_dict
from duplex.server.app import HOUSE, make_app
from duplex.server.config import ServerConfig, is_loopback
from duplex.server.routes import addresses
from duplex.server.tls import context, self_signed
from duplex.session import Agent

log = logging.getLogger(__name__)


def run_server(agents: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]) -> int:
    """Serve until SIGTERM or SIGINT; returns 0. `agents`: a name for `open_agent` -> its settings.

    Raises ConfigError for a setting that is not allowed, OSError when the address cannot be listened on, and whatever
    `open_agent` raises.
    """
    asyncio.run(_serve(agents, from_dict(ServerConfig, settings, "server")))
    return 0


async def _serve(agents: Mapping[str, Mapping[str, Any]], config: ServerConfig) -> None:
    async with AsyncExitStack() as stack:
        opened: dict[str, Agent] = {}
        for name, settings in agents.items():
            opened[name] = await asyncio.to_thread(open_agent, name, settings)
            stack.push_async_callback(opened[name].close)
        app = make_app(opened, config)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)  # an access log would hold keys
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        stop = _stop_signal()
        await _listen(runner, opened, config)
        await stop.wait()
        await app[HOUSE].drain(config.drain_s)


async def _listen(runner: web.AppRunner, agents: Mapping[str, Agent], config: ServerConfig) -> None:
    """Open both doors, and say where they are."""
    if config.key is None and not is_loopback(config.host):
        log.warning("anybody who reaches %s can use this server: set a key", config.host)
    cert, key = self_signed(home() / "tls") if config.tls_self_signed else (config.tls_cert, config.tls_key)
    secure = context(cert, key) if cert else None
    await web.TCPSite(runner, config.host, config.port).start()
    plain = runner.addresses
    _announce(agents, "ws", plain)
    if secure:
        await web.TCPSite(runner, config.host, config.tls_port, ssl_context=secure).start()
        _announce(agents, "wss", runner.addresses[len(plain) :])
    if config.tls_self_signed:
        print(f"export SSL_CERT_FILE={shlex.quote(str(cert))}  # clients that have it trust us", flush=True)  # noqa: T201


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second one acts as if nobody listened."""
    stop, loop, kinds = asyncio.Event(), asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)

    def asked() -> None:
        stop.set()
        for kind in kinds:
            loop.remove_signal_handler(kind)

    for kind in kinds:
        loop.add_signal_handler(kind, asked)
    return stop


def _announce(agents: Mapping[str, Agent], scheme: str, sites: Iterable[tuple[Any, ...]]) -> None:
    for host, port, *_ in sites:
        url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        print(f"duplex serves {', '.join(agents)} at {url} ({' '.join(addresses())})", flush=True)  # noqa: T201
