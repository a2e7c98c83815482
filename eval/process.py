"""A server as a process of its own, as a user would run it, for as long as a block of code lasts."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

START_S = 240.0  # weights may have to be fetched first
STOP_S = 15.0


class ServerFailed(Exception):
    """The server ended or never became ready; the message holds the end of its log."""


@contextmanager
def running(command: Sequence[str], health: str, log: Path, start_s: float = START_S) -> Iterator[None]:
    """Run `command` until the block ends; the block begins when `health` answers. Raises ServerFailed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_for(process, health, log, start_s)
            yield
        finally:
            _stop(process)


def serve_command(agents: Sequence[str], port: int) -> list[str]:
    """Our server with these agents on a port of the loopback."""
    named = [flag for agent in agents for flag in ("--agent", agent)]
    return [sys.executable, "-m", "duplex", "serve", *named, "--port", str(port)]


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(process: subprocess.Popen[bytes], health: str, log: Path, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not _answers(health):
        if process.poll() is not None:
            raise ServerFailed(f"the server ended with code {process.returncode}; {log} says:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"the server was not ready after {limit_s:g} s; {log} says:\n{_tail(log)}")
        time.sleep(0.2)


def _answers(health: str) -> bool:
    try:
        with urlopen(health, timeout=2) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
