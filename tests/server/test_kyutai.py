"""Kyutai's own Python client, headless: its connection code against our /api/chat; the test plays the sound card."""

import asyncio
import sys
from types import ModuleType

import aiohttp
import numpy as np
import pytest

from duplex.frame import FRAME_SAMPLES, frames_of
from duplex.protocols.opus import OPUS_DELAY_SAMPLES
from tests.server.site import chirp, site


class Stream:
    def __init__(self, **_: object) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


class Printer:
    """Keeps what Kyutai's printer would show."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.complaints: list[str] = []

    def print_token(self, token: str) -> None:
        self.words.append(token)

    def log(self, level: str, message: str) -> None:
        self.complaints.append(f"{level}: {message}")

    def print_header(self) -> None: ...
    def print_lag(self) -> None: ...
    def print_pending(self) -> None: ...


@pytest.fixture
def kyutai(monkeypatch) -> ModuleType:
    """moshi.client on a machine that needs no PortAudio."""
    card = ModuleType("sounddevice")
    card.InputStream = card.OutputStream = Stream  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    monkeypatch.delitem(sys.modules, "moshi.client", raising=False)
    from moshi import client

    yield client
    sys.modules.pop("moshi.client", None)


async def talk(client: ModuleType, url: str, pcm: np.ndarray) -> tuple[np.ndarray, Printer]:
    """What Kyutai's client plays and prints when `pcm` is recorded."""
    printer, played = Printer(), []
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        connection = client.Connection(printer, socket, event_loop=asyncio.get_running_loop())
        running = asyncio.create_task(connection.run())
        for frame in frames_of(pcm):
            connection._on_audio_input(frame.pcm[:, None], FRAME_SAMPLES, None, None)
        while len(played) < len(pcm) // FRAME_SAMPLES:
            if connection._output_queue.empty():
                await asyncio.sleep(0.01)
                continue
            out = np.zeros((FRAME_SAMPLES, 1), np.float32)
            connection._on_audio_output(out, FRAME_SAMPLES, None, None)
            played.append(out[:, 0])
        await socket.close()
        await running
    return np.concatenate(played), printer


async def test_kyutais_client_hears_the_echo(kyutai):
    pcm = chirp(20)
    async with site() as here:
        played, printer = await talk(kyutai, f"{here.base}/api/chat?agent=echo", pcm)
    lag = int(np.correlate(played, pcm[9_600:28_800], "valid").argmax()) - 9_600
    assert abs(lag - 2 * OPUS_DELAY_SAMPLES) <= 5
    assert printer.complaints == ["warning: unknown message kind 0"], "theirs says so of its own server's handshake too"


async def test_kyutais_client_prints_the_text(kyutai):
    pcm = np.concatenate([chirp(5), np.zeros(15 * FRAME_SAMPLES, np.float32)])
    async with site() as here:
        _, printer = await talk(kyutai, f"{here.base}/api/chat?agent=scripted", pcm)
    assert printer.words == ["tone"]
