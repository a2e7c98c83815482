"""Who gets in, who is turned away and how, and how the doors close."""

import asyncio
import json

import aiohttp
import pytest

from duplex.agents.echo import open_echo
from duplex.config import ConfigError, from_dict
from duplex.server import ServerConfig
from duplex.session import Capabilities
from tests.server.site import SILENCE_S16, Puppet, codes_echo, ending, site
from tests.server.test_bad_clients import emptied, told


@pytest.mark.parametrize("path", ["/api/chat?agent=echo", "/api/pcm?agent=echo", "/api/tokens?agent=codes"])
async def test_a_full_server_refuses_and_a_freed_seat_is_given_again(path):
    async with site({"echo": open_echo({"seats": 1}), "codes": codes_echo(seats=1)}) as here:
        first = await here.call(path)
        await first.receive(10)
        async with await here.call(path) as second:
            [error], code, reason = await ending(second)
        assert code == 1013 and reason == told(path, error) == "all 1 seats are taken"
        await first.close()
        await emptied(here, path.partition("=")[2])
        async with await here.call(path) as third:
            hello = (await third.receive(10)).data
            assert hello == b"\x00" or json.loads(hello)["type"] == "ready"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/api/chat?agent=nobody", "no agent 'nobody'; here: echo, scripted"),
        ("/api/tokens?agent=nobody", "no agent 'nobody'; here: echo, scripted"),
        ("/api/pcm?agent=../../etc", "no agent '../../etc'; here: echo, scripted"),
        ("/api/chat?text_topk=0", "text_topk must be 1 to 500, got 0"),
        ("/api/pcm?format=mp3", "format must be s16 or f32, got 'mp3'"),
        ("/api/chat?voice_prompt=NATF0.pt", "echo has no voice 'NATF0.pt'; it has only its own"),
        ("/api/pcm?persona=x", "echo takes no persona: its weights were not trained with one"),
        ("/api/tokens", "echo does not speak Mimi codes; open a session with medium 'pcm'"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_the_reason(path, reason):
    async with site() as here, await here.call(path) as socket:
        [error], code, why = await ending(socket)
        assert (code, why) == (1008, reason) and told(path, error) == reason
        assert not here.house.in_use.total()


async def test_an_agent_that_cannot_open_a_session_is_reported(caplog):
    agent = Puppet(lambda heard: heard, Capabilities("p"))
    agent.open = None  # type: ignore[assignment]
    async with site({"p": agent}) as here, await here.call("/api/chat") as socket:
        [error], code, reason = await ending(socket)
    assert (code, reason) == (1011, "p could not open a session; the server's log says why")
    assert error == b"\x05" + reason.encode() and "Traceback" in caplog.text


async def test_a_long_reason_fits_the_close_frame():
    async with site() as here, await here.call("/api/pcm?agent=" + "é" * 300) as socket:
        [error], code, why = await ending(socket)
    assert code == 1008 and "é" * 300 in told("/api/pcm", error) and told("/api/pcm", error).startswith(why)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}])
@pytest.mark.parametrize("path", ["/", "/api/chat", "/api/pcm?key=wrong", "/api/tokens?key="])
async def test_without_the_key_nobody_enters(path, headers):
    async with site(key="secret") as here:
        async with here.http.get(here.base + path, headers=headers) as response:
            assert response.status == 401 and "Authorization: Bearer KEY" in await response.text()
        async with here.http.get(here.base + "/health", headers=headers) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {"Authorization": "Bearer kéy"}), ("", {"Authorization": "bearer kéy"}), ("?key=kéy", {})],
)
async def test_with_the_key_everybody_does(query, headers):
    async with site(key="kéy") as here, await here.call("/api/pcm" + query, headers=headers) as socket:
        assert json.loads((await socket.receive(10)).data)["type"] == "ready"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8998", True),
        ("http://[::1]:8998", True),
        ("https://friend.example", True),
        ("https://friend.example.evil.example", False),
        ("https://evil.example", False),
        ("http://rebound.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_a_page_from_elsewhere_may_not_connect(origin, allowed):
    async with site(origins=("https://friend.example",)) as here:
        headers = {"Origin": origin, "Host": "rebound.example" if "rebound" in origin else "127.0.0.1"}
        if allowed:
            async with await here.call("/api/pcm", headers=headers) as socket:
                assert json.loads((await socket.receive(10)).data)["type"] == "ready"
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await here.call("/api/pcm", headers=headers)
            assert refused.value.status == 403


async def test_a_page_of_the_same_name_may_connect_to_a_server_on_the_network():
    headers = {"Origin": "http://box", "Host": "box:8998"}
    async with site(host="0.0.0.0") as here, await here.call("/api/pcm", headers=headers) as socket:
        assert json.loads((await socket.receive(10)).data)["type"] == "ready"


async def test_draining_lets_nobody_in_and_lets_those_inside_finish():
    async with site() as here, await here.call("/api/pcm") as inside:
        await inside.receive(10)
        draining = asyncio.create_task(here.house.drain(30))
        await asyncio.sleep(0)
        async with await here.call("/api/pcm") as late:
            [error], code, reason = await ending(late)
        assert code == 1001 and told("/api/pcm", error) == reason == "the server is shutting down"
        async with here.http.get(here.base + "/health") as response:
            assert (await response.json())["status"] == "draining"
        await inside.send_bytes(SILENCE_S16)
        assert (await inside.receive(10)).data == SILENCE_S16
        assert not draining.done()
        await inside.close()
        await draining


async def test_who_does_not_finish_in_time_is_asked_to_leave():
    async with site() as here, await here.call("/api/chat") as inside:
        await inside.receive(10)
        draining = asyncio.create_task(here.house.drain(0))
        messages, code, reason = await ending(inside)
        await draining
    assert (messages, code, reason) == ([b"\x05the server is shutting down"], 1001, "the server is shutting down")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"prot": 1}, r"\[server\] has no key 'prot'; valid keys: ahead_ms, .*port"),
        ({"port": 70_000}, "port must be 0 to 65535, got 70000"),
        ({"ahead_ms": -1}, "ahead_ms must be at least 0"),
        ({"max_backlog_ticks": 0}, "max_backlog_ticks must be at least 1"),
        ({"idle_s": 0}, "idle_s must be more than 0"),
        ({"max_message_s": 0}, "max_message_s must be more than 0"),
        ({"max_message_bytes": 0}, "max_message_bytes must be 1 to 16777216"),
        ({"key": ""}, "key must not be empty"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, reason):
    with pytest.raises(ConfigError, match=reason):
        from_dict(ServerConfig, settings, "server")


async def test_a_browser_may_bring_the_key_as_openais_client_does():
    names = ("realtime", "openai-insecure-api-key.secret")
    async with site(key="secret") as here, await here.call("/api/pcm", protocols=names) as socket:
        assert json.loads((await socket.receive(10)).data)["type"] == "ready"
        assert socket.protocol == "realtime"


async def test_an_agent_that_does_not_fit_the_wire_costs_no_seat():
    agent = Puppet(lambda heard: heard, Capabilities("big", codebooks=8, cardinality=4096))
    async with site({"p": agent}) as here, await here.call("/api/tokens") as socket:
        [_], code, _ = await ending(socket)
    assert code == 1011 and not agent.asked, "no session was opened"
