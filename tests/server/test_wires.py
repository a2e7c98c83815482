"""From end to end: a real server on a port, the three wires, the agents without a model."""

import json

import numpy as np
import pytest

from duplex.agents.echo import open_echo
from duplex.events import Hop
from duplex.frame import FRAME_SAMPLES, Frame, frames_of
from duplex.protocols.moshi import MoshiCaller
from duplex.protocols.opus import OPUS_DELAY_SAMPLES, Opus
from duplex.protocols.tokens import TokensCaller
from duplex.protocols.wire import Aside, Ready
from duplex.session import Capabilities, Sampling
from tests.server.site import Puppet, chirp, codes_echo, ending, site

TICKS = 30


async def test_pcm_echoes_every_sample():
    pcm = (chirp(TICKS) * 32768).astype("<i2")
    async with site() as here, await here.call("/api/pcm?agent=echo") as socket:
        ready = json.loads((await socket.receive()).data)
        assert (ready["type"], ready["agent"], ready["format"]) == ("ready", "echo", "s16")
        for chunk in np.array_split(np.frombuffer(pcm.tobytes(), np.uint8), 17):
            await socket.send_bytes(chunk.tobytes())
        await socket.send_str('{"type":"close"}')
        messages, code, reason = await ending(socket)
    assert b"".join(messages) == pcm.tobytes()
    assert (code, reason) == (1000, "the client said goodbye")


async def test_chat_echoes_late_by_opus_both_ways_and_says_text():
    pcm = np.concatenate([chirp(10), np.zeros(20 * FRAME_SAMPLES, np.float32)])
    heard = {}
    async with site() as here:
        for agent in ("echo", "scripted"):
            caller, items = MoshiCaller(Opus()), []
            async with await here.call(f"/api/chat?agent={agent}") as socket:
                assert (await socket.receive()).data == b"\x00"
                for frame in frames_of(pcm):
                    for message in caller.say(frame):
                        await socket.send_bytes(message)
                while sum(isinstance(item, Frame) for item in items) < TICKS:
                    items += caller.receive((await socket.receive(10)).data)
            heard[agent] = items
    said = np.concatenate([item.pcm for item in heard["echo"] if isinstance(item, Frame)])
    lag = int(np.correlate(said, pcm[5 * FRAME_SAMPLES : 10 * FRAME_SAMPLES], "valid").argmax()) - 5 * FRAME_SAMPLES
    assert abs(lag - 2 * OPUS_DELAY_SAMPLES) <= 5
    [text] = [item for item in heard["scripted"] if isinstance(item, Aside)]
    assert text.text == "tone" and text.t == 13, "240 ms after the user's last sample, in tick 9"


async def test_tokens_both_ways_with_text_and_events():
    caller, items = TokensCaller(), []
    async with site({"codes": codes_echo()}) as here, await here.call("/api/tokens") as socket:
        [ready] = caller.receive((await socket.receive()).data)
        assert isinstance(ready, Ready) and ready.facts["codec"] == "c0ffee"
        for t in range(3):
            await socket.send_bytes(caller.say(Frame(t, codes=np.arange(8) + t))[0])
        while sum(isinstance(item, Frame) for item in items) < 3:
            items += caller.receive((await socket.receive(10)).data)
    said = [item for item in items if isinstance(item, Frame)]
    assert [(f.t, f.codes[0]) for f in said] == [(0, 1), (1, 2), (2, 3)]
    assert [i for i in items if isinstance(i, Aside)] == [Aside(1, " one"), Aside(1, events=(Hop("stt", 12.5),))]


@pytest.mark.parametrize("path", ["/api/chat", "/api/pcm"])
async def test_what_the_address_asks_for_reaches_the_agent(path):
    agent = Puppet(lambda heard: heard, Capabilities("p", persona=True, voices=("NATF0",)))
    query = "text_topk=7&audio_temperature=0.5&text_seed=3&text_prompt=a%20pirate&voice_prompt=NATF0"
    async with site({"p": agent}) as here, await here.call(f"{path}?{query}") as socket:
        await socket.receive()
    [asked] = agent.asked
    assert (asked.persona, asked.voice, asked.medium) == ("a pirate", "NATF0", "pcm")
    assert asked.sampling == Sampling(text_top_k=7, audio_temperature=0.5, text_seed=3)


async def test_a_note_that_the_agent_cannot_honour_is_answered_and_the_conversation_goes_on():
    async with site() as here, await here.call("/api/pcm?agent=echo") as socket:
        await socket.receive()
        await socket.send_str('{"type":"say","text":"hello"}')
        assert json.loads((await socket.receive(10)).data) == {
            "type": "error",
            "reason": "echo cannot take Say; it takes none",
        }
        await socket.send_bytes(bytes(3840))
        assert (await socket.receive(10)).data == bytes(3840)


async def test_health_and_index():
    async with site({"codes": codes_echo(seats=3), "echo": open_echo({})}, key="secret") as here:
        async with await here.call("/api/tokens?key=secret") as socket:
            await socket.receive()
            async with here.http.get(here.base + "/health") as response:
                health = await response.json()
        async with here.http.get(here.base + "/", params={"key": "secret"}) as response:
            index = await response.text()
    assert health["status"] == "ok" and list(health["agents"]) == ["codes", "echo"]
    codes = health["agents"]["codes"]
    assert (codes["codebooks"], codes["cardinality"], codes["codec"]) == (8, 2048, "c0ffee")
    assert (codes["seats"], codes["seats_in_use"], health["agents"]["echo"]["seats_in_use"]) == (3, 1, 0)
    assert "/api/chat, /api/tokens, /api/pcm" in index and "codes, echo" in index
