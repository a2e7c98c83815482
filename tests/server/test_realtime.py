"""The stock `openai` SDK against a real server: it speaks, is answered, interrupts, types, and has its tool called."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from openai import AsyncOpenAI

from duplex.agents.echo import open_echo
from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Event, Frame
from duplex.notes import Commit, Heard, Hush, Note, Remember, Respond, Tool, ToolResult, TurnTaking, UseTools
from duplex.session import Agent, Capabilities, SessionConfig, Ticks, cannot
from duplex.turns import ENERGY_GATE, TurnDetector, levels_db
from tests.server.site import site

NOTES = (Commit, Heard, Hush, Remember, Respond, ToolResult, TurnTaking, UseTools)
SPEECH = np.full(FRAME_SAMPLES, 0.25, np.float32)


@dataclass
class Actor:
    """An agent that takes turns by loudness, and answers every one with `words`, one a tick, and a constant sound."""

    words: tuple[str, ...] = (" It", " is", " noon.")
    capabilities: Capabilities = field(default_factory=lambda: Capabilities("actor", tools=True, notes=NOTES))
    told: list[Note] = field(default_factory=list)
    asked: list[SessionConfig] = field(default_factory=list)

    async def open(self, config: SessionConfig) -> ActorSession:
        self.asked.append(config)
        return ActorSession(self, config.turns or TurnTaking())

    async def close(self) -> None: ...


class ActorSession:
    def __init__(self, actor: Actor, rules: TurnTaking) -> None:
        self._actor, self._rules = actor, rules
        self._ticks, self._ear = Ticks("pcm"), TurnDetector(ENERGY_GATE)
        self._events: list[Event] = []
        self._words: deque[str] = deque()
        self._answering = False

    async def step(self, heard: Frame) -> Frame:
        self._ticks.check(heard)
        assert heard.pcm is not None
        for edge in filter(None, map(self._ear.push, levels_db(heard.pcm) if self._rules.detect else ())):
            self._turn(edge.kind, edge.sample)
        word = self._words.popleft() if self._words else ""
        if self._answering and not self._words:
            self._over("completed")
        events, self._events = tuple(self._events), []
        return Frame(heard.t, SPEECH.copy() if word else np.zeros(FRAME_SAMPLES, np.float32), text=word, events=events)

    def _turn(self, kind: str, sample: int) -> None:
        if kind == "began":
            self._events.append(SpeechStarted(sample))
            if self._answering:
                self._events.append(Interrupted("some"))
                self._over("interrupted")
        else:
            self._events += [SpeechStopped(sample), Transcript("what time is it")]
            self._answer(self._actor.words)

    def _answer(self, words: tuple[str, ...]) -> None:
        self._answering, self._words = True, deque(words)
        self._events.append(Answering())

    def _over(self, why: str) -> None:
        self._answering = False
        self._words.clear()
        self._events.append(Answered(why))

    async def tell(self, note: Note) -> None:
        if not isinstance(note, NOTES):
            raise cannot(note, self._actor.capabilities)
        self._actor.told.append(note)
        if isinstance(note, TurnTaking):
            self._rules = note
        elif isinstance(note, Commit):
            self._events.append(Transcript("what time is it"))
        elif isinstance(note, Hush) and self._answering:
            self._over("cancelled")
        elif isinstance(note, Respond):
            self._respond()

    def _respond(self) -> None:
        tools = next((n.tools for n in reversed(self._actor.told) if isinstance(n, UseTools)), ())
        results = [n.output for n in self._actor.told if isinstance(n, ToolResult)]
        if tools and not results:
            self._events += [Answering(), ToolCall("c1", tools[0].name, '{"city":"Rome"}'), Answered()]
        else:
            self._answer((f" {results[-1]}",) if results else self._actor.words)

    async def close(self) -> None: ...


class Client:
    """A connection of the SDK, and everything that came over it."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.events: list = []

    async def until(self, kind: str):
        """Everything up to the next event of that type."""
        return await asyncio.wait_for(self._until(kind), 20)

    async def _until(self, kind: str):
        async for event in self.connection:
            self.events.append(event)
            assert event.type != "error" or kind == "error", event.error
            if event.type == kind:
                return event
        raise AssertionError(f"the server hung up before {kind}")

    async def speak(self, pcm: np.ndarray) -> None:
        for chunk in np.array_split((pcm * 32768).astype("<i2"), max(1, len(pcm) // 480)):  # 20 ms each
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(chunk.tobytes()).decode())

    def kinds(self) -> list[str]:
        return [event.type for event in self.events]

    def sound(self) -> np.ndarray:
        deltas = [event.delta for event in self.events if event.type == "response.output_audio.delta"]
        return np.frombuffer(base64.b64decode("".join(deltas)), "<i2") if deltas else np.zeros(0, "<i2")


@asynccontextmanager
async def connected(agent: Agent, model: str = "gpt-realtime", base: str = "/v1", **config) -> AsyncIterator[Client]:
    async with (
        site({"agent": agent, "echo": open_echo({})}, **config) as here,
        AsyncOpenAI(base_url=here.base + base, api_key="x") as sdk,
        sdk.realtime.connect(model=model) as link,
    ):
        yield Client(link)


def turn(speech_ms: int = 400, silence_ms: int = 400) -> np.ndarray:
    return np.concatenate(
        [np.full(speech_ms * SAMPLE_RATE // 1000, 0.3), np.zeros(silence_ms * SAMPLE_RATE // 1000)]
    ).astype(np.float32)


async def test_a_spoken_conversation():
    actor = Actor()
    async with connected(actor) as client:
        created = await client.until("session.created")
        assert created.session.model == "gpt-realtime" and len(client.events) == 1
        await client.connection.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        )
        updated = await client.until("session.updated")
        assert updated.session.audio.input.transcription.model == "whisper-1"
        for _ in range(2):
            client.events.clear()
            await client.speak(turn())
            done = await client.until("response.done")
            assert client.kinds()[:5] == [
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
                "input_audio_buffer.committed",
                "conversation.item.added",
                "conversation.item.done",
            ]
            heard = next(e for e in client.events if e.type.endswith("transcription.completed"))
            assert heard.transcript == "what time is it" and heard.item_id == client.events[0].item_id
            assert done.response.status == "completed" and done.response.usage.output_tokens == 3 * 8 + 3
            assert done.response.output[0].content[0].transcript == "It is noon."
            assert np.array_equal(client.sound(), np.full(3 * FRAME_SAMPLES, 8192))
    assert actor.asked[0].turns == TurnTaking(threshold=0.5, stop_ms=500) and actor.asked[0].transcribe


async def test_an_answer_comes_to_a_client_that_falls_silent():
    """It sends a recording and nothing after it, as scripts do."""
    async with connected(Actor(), paced=True) as client:
        await client.speak(turn(silence_ms=0))
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped.audio_end_ms == 400
        assert (await client.until("response.done")).response.status == "completed"


async def test_an_interruption_and_what_was_heard():
    actor = Actor(words=tuple(f" {n}" for n in range(200)))
    async with connected(actor, paced=True) as client:
        await client.speak(turn())
        await client.until("response.output_audio.delta")
        client.events.clear()
        await client.speak(turn(200, 0))
        await client.until("input_audio_buffer.speech_started")
        client.events.clear()
        done = await client.until("response.done")
        assert client.kinds()[0] == "response.output_audio.done"
        assert done.response.status == "cancelled" and done.response.status_details.reason == "turn_detected"
        item = done.response.output[0].id
        await client.connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=160)
        assert (await client.until("conversation.item.truncated")).audio_end_ms == 160
        await client.connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=10**7)
        told = await client.until("conversation.item.truncated")
        assert 0 < told.audio_end_ms < 3_000, "no further than was sent"
    assert Heard("0 1") in actor.told


async def test_push_to_talk_and_cancel():
    actor = Actor(words=tuple(f" {n}" for n in range(200)))
    async with connected(actor, paced=True) as client:
        session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await client.connection.session.update(session=session)
        await client.until("session.updated")
        await client.speak(turn())
        await client.connection.input_audio_buffer.commit()
        await client.until("input_audio_buffer.committed")
        assert "input_audio_buffer.speech_started" not in client.kinds()
        await client.connection.response.create(response={"metadata": {"id": "7"}})
        assert (await client.until("response.created")).response.metadata == {"id": "7"}
        await client.until("response.output_audio.delta")
        await client.connection.response.create()
        assert (await client.until("error")).error.code == "conversation_already_has_active_response"
        await client.connection.response.cancel()
        done = await client.until("response.done")
        assert done.response.status_details.reason == "client_cancelled"
        await client.connection.response.cancel()
        assert (await client.until("error")).error.code == "response_cancel_not_active"
        await client.connection.conversation.item.retrieve(item_id="no", event_id="rci_no")
        error = (await client.until("error")).error
        assert (error.code, error.event_id) == ("item_retrieve_invalid_item_id", "rci_no")
    assert [type(note) for note in actor.told] == [TurnTaking, Commit, Respond, Hush]


async def test_text_in_text_out():
    actor = Actor()
    async with connected(actor, base="") as client:
        await client.connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        content = [{"type": "input_text", "text": "What time is it?"}]
        await client.connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await client.connection.response.create()
        done = await client.until("response.done")
        assert done.response.output[0].content[0].text == "It is noon." and not len(client.sound())
    assert actor.told == [Remember("user", "What time is it?"), Respond()]


async def test_a_tool():
    actor = Actor()
    async with connected(actor) as client:
        tool = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}}
        await client.connection.session.update(session={"type": "realtime", "tools": [tool]})
        await client.connection.response.create()
        call = await client.until("response.function_call_arguments.done")
        assert (call.name, call.arguments) == ("weather", '{"city":"Rome"}')
        assert (await client.until("response.done")).response.output[0].type == "function_call"
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        await client.connection.conversation.item.create(item=result)
        await client.connection.response.create()
        done = await client.until("response.done")
        assert done.response.output[0].content[0].transcript == "sunny"
    assert actor.told == [
        UseTools((Tool("weather", "d", {"type": "object"}),)),
        Respond(),
        ToolResult("c1", "sunny"),
        Respond(),
    ]


async def test_an_agent_that_can_do_nothing_of_it_keeps_the_connection():
    async with connected(open_echo({})) as client:
        await client.connection.session.update(session={"type": "realtime", "instructions": "a pirate"})
        assert (await client.until("session.updated")).session.instructions == "a pirate"
        second = await client.until("session.updated")
        assert second.session.instructions == "" and "echo cannot take Instruct" in second.session.unsupported[0]
        await client.connection.response.create()
        done = await client.until("response.done")
        assert done.response.status == "failed" and "Respond" in done.response.status_details.error.message
        content = [{"type": "input_text", "text": "hi"}]
        item = {"type": "message", "role": "user", "content": content}
        await client.connection.conversation.item.create(item=item, event_id="mine")
        error = (await client.until("error")).error
        assert (error.code, error.event_id) == ("unsupported", "mine")
        await client.connection.input_audio_buffer.append(audio="?")
        assert (await client.until("error")).error.code == "invalid_value"
        await client.connection.input_audio_buffer.clear()
        await client.until("input_audio_buffer.cleared")


@pytest.mark.parametrize("model", ["echo", "another", "anything"])
async def test_the_model_names_the_agent_or_the_first_one_answers(model):
    actor = Actor()
    async with connected(actor, model=model, models={"another": "echo"}) as client:
        await client.until("session.created")
    assert len(actor.asked) == (model == "anything")


async def test_models_are_listed():
    agents = {"agent": Actor(), "echo": open_echo({})}
    async with (
        site(agents, models={"gpt-realtime": "agent"}) as here,
        AsyncOpenAI(base_url=here.base + "/v1", api_key="x") as sdk,
    ):
        assert [model.id async for model in sdk.models.list()] == ["agent", "echo", "gpt-realtime"]


async def test_ids_of_two_sessions_differ():
    async with site({"agent": Actor()}) as here, AsyncOpenAI(base_url=here.base + "/v1", api_key="x") as sdk:
        ids = []
        for _ in range(2):
            async with sdk.realtime.connect(model="m") as link:
                ids.append((await link.recv()).session.id)
    assert len(set(ids)) == 2
