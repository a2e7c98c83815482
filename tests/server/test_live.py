"""GPT-Live from end to end: the openai SDK's own client against a real server."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from openai import AsyncOpenAI

from duplex.agents.echo import open_scripted
from duplex.clients.call import QUIET_S
from duplex.events import Answered, Answering, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Frame, frames_of
from duplex.notes import Instruct, Note, Remember, Respond, Say, ToolResult, TurnTaking, UseTools, UseVoice
from duplex.protocols.live.caller import LiveCaller
from duplex.protocols.wire import Ready
from duplex.session import Capabilities, cannot
from tests.protocols.live_talk import told
from tests.server.site import Puppet, PuppetSession, chirp, ending, site

NOTES = (Say, Remember, Respond, Instruct, UseTools, ToolResult, TurnTaking)
SILENCE = base64.b64encode(bytes(FRAME_SAMPLES * 2)).decode()
TONE = base64.b64encode((chirp(1) * 32768).astype("<i2").tobytes()).decode()
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


class Listener(Puppet):
    """Takes notes; answers with `answer`, which may read them."""

    def __init__(self, answer):
        super().__init__(answer, Capabilities("listener", model="gpt-live-1", tools=True, notes=NOTES))
        self.notes: list[Note] = []

    async def open(self, config):
        await super().open(config)
        return ListenerSession(self, config)


class ListenerSession(PuppetSession):
    async def tell(self, note):
        if not isinstance(note, NOTES):
            raise cannot(note, self._agent.capabilities)
        self._agent.notes.append(note)


def clerk() -> Listener:
    """Hears the user in ticks 2 to 5, calls a tool in tick 6, and speaks of its result when it is asked to."""
    since: list[int] = []

    def answer(heard: Frame) -> Frame:
        loud = Frame(heard.t, np.full(FRAME_SAMPLES, 0.25, np.float32))
        if heard.t == 6:
            call = ToolCall("c1", "weather", '{"city":"Paris"}')
            events = (SpeechStopped(9_600), Answering(), Transcript("Is it warm?"), call, Answered())
            return replace(loud, events=(SpeechStarted(3_840), *events))
        if Respond() in agent.notes or any(isinstance(note, Say) for note in agent.notes):
            since.append(heard.t)
        if len(since) == 1:
            return replace(loud, events=(Answering(),), text=" It is.")
        return replace(loud, events=(Answered(),)) if len(since) == 3 else loud

    agent = Listener(answer)
    return agent


@asynccontextmanager
async def talking(base: str, **session):
    """An SDK connection with a started session; the client's sound has to be sent by hand."""
    client = AsyncOpenAI(api_key="local", base_url=base + "/v1", max_retries=0)
    async with client, client.live.connect() as talk:
        await talk.session.start(session={"model": "gpt-live-1", **session})
        started = await asyncio.wait_for(talk.recv(), 10)
        assert started.type == "session.started" and started.session.status == "active"
        yield talk


async def until(talk, kind: str, heard: list | None = None):
    """The next event of a kind; what comes before it is noted in `heard`."""
    while (event := await asyncio.wait_for(talk.recv(), 10)).type != kind:
        told([json.dumps(event.to_dict())])
        if heard is not None:
            heard.append(event)
    return event


def samples(events) -> np.ndarray:
    deltas = [base64.b64decode(event.delta) for event in events if event.type == "session.output_audio.delta"]
    return np.frombuffer(b"".join(deltas), "<i2")


async def test_the_scripted_agent_answers_with_digital_silence_around_it():
    pcm = np.concatenate([chirp(5), np.zeros(20 * FRAME_SAMPLES, np.float32)])
    events = []
    async with (
        site({"scripted": open_scripted({})}) as here,
        talking(here.base, instructions="Be kind.", audio={"output": {"voice": "marin"}}) as talk,
    ):
        for at in range(0, len(pcm), 2_400):  # 100 ms at a time, as LiveKit does
            data = (pcm[at : at + 2_400] * 32768).astype("<i2").tobytes()
            await talk.session.input_audio.append(audio=base64.b64encode(data).decode())
        await talk.session.close()
        closed = await until(talk, "session.closed", events)
        with pytest.raises(Exception, match="1000"):
            await asyncio.wait_for(talk.recv(), 10)
    assert (closed.reason, closed.usage.seconds) == ("close_requested", 2.0)
    codes = [event.code for event in events if event.type == "info"]
    assert codes == ["instructions_unavailable", "voice_unavailable", "tools_unavailable"], "it has none of them"
    said = samples(events)
    assert len(said) == 25 * FRAME_SAMPLES
    begin, end = np.flatnonzero(said)[[0, -1]]
    # frame t of the stream is what the agent says in tick t: it begins 240 ms after the user's last sample
    assert abs(begin - (5 * FRAME_SAMPLES + 5_760)) < 200 and not said[:begin].any() and end > begin
    [text] = [event for event in events if event.type == "session.output_transcript.delta"]
    assert (text.delta, text.start_ms) == ("tone", begin // FRAME_SAMPLES * 80)


async def test_a_tool_is_called_answered_and_spoken_of():
    agent, events = clerk(), []
    delegation = {"type": "responses", "responses": {"model": "gpt-5", "instructions": "Be brief.", "tools": [WEATHER]}}
    async with site({"clerk": agent}) as here, talking(here.base, instructions="Hi.", delegation=delegation) as talk:
        for _ in range(10):
            await talk.session.input_audio.append(audio=TONE)
        done = None
        while done is None or done.event["type"] != "response.completed":
            done = await until(talk, "response.event", events)
            events.append(done)
        await talk.response.item.create(item={"type": "function_call_output", "call_id": "c1", "output": "18"})
        await talk.response.create()
        for _ in range(5):
            await talk.session.input_audio.append(audio=SILENCE)
        await until(talk, "session.output_transcript.delta", events)
        await talk.session.close()
        await until(talk, "session.closed", events)
    [asked] = agent.asked
    assert asked.turns == TurnTaking() and asked.transcribe and not asked.persona
    assert agent.notes[0] == Instruct("Hi.\n\nBe brief.")
    assert isinstance(agent.notes[1], UseTools) and agent.notes[1].tools[0].name == "weather"
    assert agent.notes[2:] == [ToolResult("c1", "18"), Respond()]
    [heard] = [event for event in events if event.type == "session.input_transcript.delta"]
    assert (heard.delta, heard.start_ms, heard.end_ms) == ("Is it warm?", 160, 400)
    inner = [event.event for event in events if event.type == "response.event"]
    kinds = ["response.created", "response.output_item.done", "response.completed"]
    assert [event["type"] for event in inner] == kinds and inner[1]["item"]["name"] == "weather"
    said = samples(events).reshape(-1, FRAME_SAMPLES)
    spoken = [t for t, tick in enumerate(said) if tick.any()]
    assert spoken == [6, *spoken[1:]] and len(spoken) == 4, "noise outside of the answers is zeros"


async def test_a_task_is_handed_to_the_client_which_answers_aloud():
    agent = clerk()
    async with site({"clerk": agent}) as here, talking(here.base) as talk:
        for _ in range(8):
            await talk.session.input_audio.append(audio=TONE)
        created = await until(talk, "session.delegation.created")
        assert (created.delegation.target, created.offset_ms) == ("client", 560)
        await talk.session.thinking.append(content="looking", delegation_id=created.delegation.id)
        await talk.session.commentary.append(content="It is warm.", delegation_id=created.delegation.id, event_id="e")
        added = await until(talk, "session.commentary.appended")
        assert added.client_event_id == "e" and added.start_ms >= 640
    tools, *rest = agent.notes
    assert isinstance(tools, UseTools) and tools.tools[0].name == "delegate"
    assert rest == [Remember("system", "looking"), ToolResult("c1", "It is warm."), Say("It is warm.")]


async def test_mistakes_do_not_end_the_session_and_silence_does_not_stop_the_clock():
    async with site() as here, talking(here.base) as talk:
        for raw in ("{", "[]", '{"type":"nonsense"}', '{"type":"session.input_audio.append","audio":"%"}'):
            await talk.send_raw(raw)
            assert (await until(talk, "error")).error.type == "invalid_request_error"
        await talk.session.output_audio.fixture.play(audio="")
        assert (await until(talk, "error")).error.code == "unsupported"
        first = await until(talk, "session.output_audio.delta")
        await talk.session.input_audio.mute()
        await until(talk, "session.input_audio.muted")
        later = await until(talk, "session.output_audio.delta")
        assert later.start_ms > first.start_ms >= 0 and not samples([first, later]).any()


async def test_the_first_message_must_start_the_session():
    async with site() as here, await here.call("/v1/live/sessions") as socket:
        await socket.send_str('{"type":"session.close"}')
        messages, code, reason = await ending(socket)
    [event] = told(messages)
    assert event["error"]["message"] == reason == "session.start must come first, got session.close" and code == 1007


async def test_a_full_house_is_an_error_and_the_voice_asked_for_does_not_refuse_a_session():
    agent = Puppet(lambda heard: heard, Capabilities("p", seats=1, voices=("anna",), notes=(UseVoice,)))
    async with site({"p": agent}) as here, talking(here.base, audio={"output": {"voice": "marin"}}) as talk:
        assert (await until(talk, "info")).code == "voice_unavailable"
        async with await here.call("/live/sessions") as socket:
            await socket.send_str('{"type":"session.start","session":{"model":"any"}}')
            messages, code, _ = await ending(socket)
    assert told(messages)[0]["error"]["message"] == "all 1 seats are taken" and code == 1013


async def test_our_own_caller_hears_its_echo():
    pcm, items = chirp(6), []
    caller = LiveCaller()
    async with site() as here, await here.call("/live/sessions") as socket:
        for message in caller.hello():
            await socket.send_str(message)
        while not any(isinstance(item, Ready) for item in items):
            items += caller.receive((await socket.receive(QUIET_S)).data)
        for frame in frames_of(pcm):
            await socket.send_str(caller.say(frame)[0])
        while sum(isinstance(item, Frame) for item in items) < 6:
            items += caller.receive((await socket.receive(QUIET_S)).data)
    said = np.concatenate([item.pcm for item in items if isinstance(item, Frame)])
    assert np.abs(said - pcm).max() <= 1 / 32768, "echo is the first agent of this server"
