"""Clients that misbehave, each beside one on the same server that must not notice."""

import asyncio
import json
import struct

import aiohttp
import numpy as np
import pytest

from duplex.agents.echo import open_echo
from tests.server.site import SILENCE_S16, Site, codes_echo, ending, failing, hanging, site

BAD = [  # path, message, close code, what the reason holds
    (
        "/api/chat?agent=echo",
        b"\x01garbage longer than the header of an Ogg page",
        1007,
        "kind 1 must be Ogg/Opus",
    ),
    ("/api/chat?agent=echo", "text", 1007, "got a text message"),
    ("/api/pcm?agent=echo", "no json", 1007, "must be JSON"),
    ("/api/pcm?agent=echo&format=f32", struct.pack("<f", np.nan) * 1920, 1007, "finite numbers"),
    ("/api/pcm?agent=echo&format=f32", struct.pack("<f", np.inf), 1007, "finite numbers"),
    ("/api/tokens?agent=codes", b"garbage, longer than a header", 1007, "expected version 1, got 103"),
    ("/api/tokens?agent=codes", "[]", 1007, "JSON object"),
    ("/api/chat?agent=echo", bytes(10 << 20), 1009, "may hold 1048576 bytes, got 10485760"),
    ("/api/pcm?agent=echo", bytes(10 << 20), 1009, "may hold 1048576 bytes, got 10485760"),
    ("/api/tokens?agent=codes", bytes(10 << 20), 1009, "may hold 1048576 bytes, got 10485760"),
    ("/api/tokens?agent=codes", "x" * (10 << 20), 1009, "may hold 1048576 bytes, got 10485760"),
]


async def echo_once(neighbour: aiohttp.ClientWebSocketResponse, value: int) -> None:
    """One tick, there and back."""
    tick = struct.pack("<h", value) * 1920
    await neighbour.send_bytes(tick)
    assert (await neighbour.receive(10)).data == tick


async def neighbour_of(here: Site) -> aiohttp.ClientWebSocketResponse:
    neighbour = await here.call("/api/pcm?agent=echo")
    assert json.loads((await neighbour.receive(10)).data)["type"] == "ready"
    await echo_once(neighbour, 1)
    return neighbour


def told(path: str, message: str | bytes) -> str:
    """The reason in an error message of the wire at `path`."""
    if path.startswith("/api/chat"):
        assert isinstance(message, bytes) and message[0] == 5
        return message[1:].decode()
    error = json.loads(message)
    assert error["type"] == "error"
    return error["reason"]


async def emptied(here: Site, agent: str, left: int = 0) -> None:
    """Returns when at most `left` conversations with `agent` are open."""
    while here.house.in_use[agent] > left:  # noqa: ASYNC110 (the server has no reason to tell)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("path", "message", "code", "reason"), BAD)
async def test_bad_input_is_answered_with_a_reason(path, message, code, reason):
    agents = {"echo": open_echo({}), "codes": codes_echo()}
    async with site(agents, max_message_bytes=1 << 20) as here, await neighbour_of(here) as neighbour:
        async with await here.call(path) as bad:
            hello = (await bad.receive(10)).data
            assert hello == b"\x00" or json.loads(hello)["type"] == "ready"
            await (bad.send_str(message) if isinstance(message, str) else bad.send_bytes(message))
            [error], got, why = await ending(bad)
        assert got == code
        assert reason in told(path, error) and reason[:60] in why
        await echo_once(neighbour, 2)


async def test_frames_before_the_garbage_are_answered():
    async with site() as here, await here.call("/api/pcm?agent=echo") as socket:
        await socket.receive(10)
        await socket.send_bytes(SILENCE_S16 * 3)
        await socket.send_str("garbage")
        messages, code, _ = await ending(socket)
    assert messages[:3] == [SILENCE_S16] * 3 and code == 1007


@pytest.mark.parametrize("half", [b"", bytes(1919)])
async def test_half_a_frame_and_then_silence_is_let_go(half):
    async with site(idle_s=0.3) as here, await here.call("/api/pcm?agent=echo") as socket:
        await socket.receive(10)
        await socket.send_bytes(half)
        [error], code, reason = await ending(socket)
        await emptied(here, "echo")
    assert (code, reason) == (1008, "nothing complete was sent for 0.3 s")
    assert told("/api/pcm", error) == reason


async def test_drops_that_never_make_a_frame_do_not_count_as_life():
    async with site(idle_s=0.3) as here, await here.call("/api/pcm?agent=echo") as socket:
        await socket.receive(10)

        async def drip() -> None:
            while not socket.closed:
                await socket.send_bytes(b"\0")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        _, code, _ = await ending(socket)
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert code == 1008


async def test_a_thousand_tiny_messages_are_one_frame():
    async with site() as here, await neighbour_of(here) as neighbour, await here.call("/api/pcm") as socket:
        await socket.receive(10)
        for i in range(3_840):
            await socket.send_bytes(bytes([i % 100]))
            if i % 1_000 == 0:
                await echo_once(neighbour, i)
        assert (await socket.receive(10)).data == bytes(i % 100 for i in range(3_840))


@pytest.mark.parametrize("agent", ["echo", "hanging"])
async def test_a_client_that_vanishes_in_mid_frame_frees_its_seat(agent):
    agents = {"echo": open_echo({}), "hanging": hanging()}
    async with site(agents) as here, await neighbour_of(here) as neighbour:
        socket = await here.call(f"/api/pcm?agent={agent}")
        await socket.receive(10)
        await socket.send_bytes(SILENCE_S16 + b"half")
        assert socket._response.connection is not None
        socket._response.connection.transport.abort()  # no close frame: the cable is pulled
        await emptied(here, agent, left=int(agent == "echo"))
        await echo_once(neighbour, 3)
        assert agents["hanging"].closed == len(agents["hanging"].asked)


async def test_a_client_that_does_not_read_is_let_go_and_holds_nobody_up():
    async with site(idle_s=0.5) as here:
        socket = await here.call("/api/pcm?agent=echo")
        await socket.receive(10)
        transport = socket._response.connection.transport
        transport.pause_reading()

        async def flood() -> None:
            while True:
                await socket.send_bytes(SILENCE_S16 * 50)

        flooding = asyncio.create_task(flood())
        async with await neighbour_of(here) as neighbour:
            for _ in range(1_000):
                await echo_once(neighbour, 5)
                await asyncio.sleep(0.01)
                if here.house.in_use["echo"] == 1:
                    break
            assert here.house.in_use["echo"] == 1
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        transport.abort()


async def test_an_agent_that_breaks_ends_its_own_conversation_only(caplog):
    agent = failing()
    async with site({"echo": open_echo({}), "failing": agent}) as here, await neighbour_of(here) as neighbour:
        async with await here.call("/api/pcm?agent=failing") as socket:
            await socket.receive(10)
            await socket.send_bytes(SILENCE_S16 * 5)
            messages, code, reason = await ending(socket)
        assert messages[:2] == [SILENCE_S16] * 2 and code == 1011
        assert reason == "the agent failed; the server's log says why" and "secret" not in str(messages)
        await emptied(here, "failing")
        assert agent.closed == 1
        await echo_once(neighbour, 4)
    assert "the agent's own secret" in caplog.text and "Traceback" in caplog.text


async def test_what_people_say_is_not_in_the_log(caplog):
    caplog.set_level("INFO")
    async with site() as here, await here.call("/api/pcm?agent=echo&key=hush") as socket:
        await socket.receive(10)
        await socket.send_str('{"type":"type","text":"my private words"}')
        await socket.send_str('{"type":"close"}')
        await ending(socket)
        await emptied(here, "echo")
    assert "conversation 1 opened: echo on /api/pcm" in caplog.text
    assert "conversation 1 closed: 1000 the client said goodbye; heard 0, said 0 ticks" in caplog.text
    assert "private" not in caplog.text and "hush" not in caplog.text
