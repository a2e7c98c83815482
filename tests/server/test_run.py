"""The server as a process: the address it prints, SIGTERM, and what stops it from starting."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from duplex.config import ConfigError
from duplex.server import run_server
from tests.server.site import SILENCE_S16, ending

COMMAND = (sys.executable, "-m", "duplex", "serve", "--agent", "echo", "--port", "0", "--config")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A server that does not wait long for its guests."""
    path = tmp_path / "server.toml"
    path.write_text("[server]\ndrain_s = 0.2\n")
    return path


@asynccontextmanager
async def server(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """(process, ws address)"""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*COMMAND, str(config), stdout=pipe, stderr=pipe)
    assert process.stdout
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        found = re.fullmatch(r"duplex serves echo at (ws://127\.0\.0\.1:\d+) \(.*\)\n", line)
        assert found, line
        yield process, found[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_and_its_conversations_in_order(kind, config):
    async with server(config) as (process, url), aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}/api/pcm") as client:
            await client.receive(10)
            await client.send_bytes(SILENCE_S16)
            assert (await client.receive(10)).data == SILENCE_S16
            process.send_signal(kind)
            _, code, reason = await ending(client)
        assert (code, reason) == (1001, "the server is shutting down")
        assert await asyncio.wait_for(process.wait(), 20) == 0
        log = (await process.stderr.read()).decode()
        assert re.search(r"conversation 1 opened: echo on /api/pcm\n.*conversation 1 closed: 1001 the server is", log)


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(ConfigError, match=r"\[server\] has no key 'prot'"):
        run_server({"echo": {}}, {"prot": 1})
    with pytest.raises(ConfigError, match="no agent 'nobody'"):
        run_server({"nobody": {}}, {"port": 0})
    with pytest.raises(ConfigError, match=r"\[echo\] has no key 'seat'"):
        run_server({"echo": {"seat": 1}}, {"port": 0})


def test_a_port_in_use_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            run_server({"echo": {}}, {"port": port})
