"""Clients of others' protocols that mean harm: what each wire takes, all that can be wrong with it, who sends it."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import aiohttp
import numpy as np
from hypothesis import strategies as st

from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Event, Frame
from duplex.notes import Note, Remember, Respond, TypedText
from duplex.session import Capabilities, SessionConfig
from tests.server.site import Puppet, PuppetSession, Site

WORD = "still there?"
MAX_BYTES = 4 << 20
TICK = b64encode(np.random.default_rng(1).integers(-9_000, 9_000, FRAME_SAMPLES).astype("<i2").tobytes()).decode()
MANY_TICKS = b64encode(bytes(3 << 20)).decode()  # just over MAX_BYTES in base64; half of it fits
TONE = np.full(FRAME_SAMPLES, 0.25, np.float32)


class Raw(NamedTuple):
    """The payload of a text frame, as it is."""

    data: bytes


Sent = str | bytes | Raw
Json = dict[str, Any]
Spot = tuple[Any, ...]  # keys and indices, from the outside in


# --- an agent that takes every note and has something to tell in most ticks -------------------------------------------


class Host(Puppet):
    def __init__(self, seats: int = 4) -> None:
        notes = get_args(Note)
        can = Capabilities("host", persona=True, voices=("anna",), tools=True, images=True, notes=notes, seats=seats)
        super().__init__(lambda heard: heard, can)
        self.notes: list[Note] = []

    async def open(self, config):
        await super().open(config)
        return _HostSession(self, config)


class _HostSession(PuppetSession):
    def __init__(self, agent: Host, config: SessionConfig) -> None:
        super().__init__(agent, config)
        self._notes = agent.notes
        self._left = 0  # ticks of the answer that is being given
        self._asked = False

    async def step(self, heard: Frame) -> Frame:
        self._ticks.check(heard)
        events = tuple(self._events(heard.t))
        return Frame(heard.t, TONE, text=" la" if self._left else "", events=events)

    def _events(self, t: int) -> Iterator[Event]:
        if t % 12 == 2:
            yield SpeechStarted(t * FRAME_SAMPLES)
        if t % 12 == 4 or self._asked:
            if self._left:
                yield from (Interrupted("la"), Answered("interrupted"))
            if not self._asked:
                yield from (SpeechStopped(t * FRAME_SAMPLES), Transcript("What?"))
            yield Answering()
            self._left, self._asked = 4, False
        if t % 24 == 7 and self._left:
            yield ToolCall(f"c{t}", "f", '{"a":1}')
        if self._left:
            self._left -= 1
            if not self._left:
                yield Answered()

    async def tell(self, note: Note) -> None:
        self._notes.append(note)
        self._asked = self._asked or isinstance(note, (TypedText, Respond))


# --- the protocols ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Talk:
    """One protocol: what opens a session, what may follow, and how to ask whether it still works."""

    name: str
    path: str
    opening: tuple[Json, ...]
    valid: tuple[Json, ...]  # the first holds a tick of sound
    probe: Json
    reaches: Note  # the agent, as what the probe means
    ack: Callable[[str], bool] | None  # whether a message tells the client so; None: the protocol has no word for it
    storm: Json  # settings, changed again and again
    forgives: bool  # a mistake is answered and the session goes on; False: it closes the connection with the reason
    bytes_a_second: int = FRAME_SAMPLES * 25  # of sound

    def __repr__(self) -> str:
        return self.name

    def _repr_pretty_(self, printer, _) -> None:  # as hypothesis shows it
        printer.text(repr(self))

    def loud(self, sound: str) -> str:
        """A message with so much sound."""
        return json.dumps(self.valid[0]).replace(TICK, sound)

    def lasting(self, seconds: int) -> str:
        """A message with so much silence."""
        return self.loud(b64encode(bytes(seconds * self.bytes_a_second)).decode())


_TOOL: Json = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
_HI: Json = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
_HEARD: Json = {
    "format": {"type": "audio/pcm", "rate": 24_000},
    "transcription": {"model": "w", "language": "en"},
    "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 300, "create_response": True},
}
_SAID: Json = {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "anna", "speed": 1.0}

REALTIME = Talk(
    "realtime",
    "/v1/realtime?model=any",
    (),
    (
        {"type": "input_audio_buffer.append", "audio": TICK},
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "instructions": "i",
                "output_modalities": ["audio"],
                "max_output_tokens": 9,
                "tools": [_TOOL],
                "tool_choice": {"type": "function", "name": "f"},
                "audio": {"input": _HEARD, "output": _SAID},
            },
        },
        {"type": "session.update", "session": {"modalities": ["text"], "turn_detection": {"type": "semantic_vad"}}},
        {"type": "session.update", "session": {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"}},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "output_audio_buffer.clear"},
        {"type": "conversation.item.create", "previous_item_id": "root", "item": {"id": "a", **_HI}},
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call", "call_id": "c7", "name": "f", "arguments": "{}"},
        },
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": "c7", "output": "18"},
        },
        {"type": "conversation.item.retrieve", "item_id": "a"},
        {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 80},
        {"type": "conversation.item.delete", "item_id": "a"},
        {
            "type": "response.create",
            "response": {"instructions": "i", "output_modalities": ["text"], "metadata": {"a": "b"}},
        },
        {"type": "response.cancel", "event_id": "e"},
    ),
    probe={
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": WORD}]},
    },
    reaches=Remember("system", WORD),
    ack=lambda message: '"conversation.item.added"' in message and WORD in message,
    storm={"type": "session.update", "session": {"type": "realtime", "instructions": "N"}},
    forgives=True,
)

_RESPONSES: Json = {"model": "m", "instructions": "i", "tools": [_TOOL], "tool_choice": "auto"}
LIVE = Talk(
    "live",
    "/v1/live/sessions",
    (
        {
            "type": "session.start",
            "session": {
                "model": "any",
                "instructions": "i",
                "input": [_HI],
                "audio": {"format": {"type": "audio/pcm", "rate": 24_000}, "output": {"voice": "anna"}},
                "delegation": {"type": "responses", "responses": _RESPONSES},
            },
        },
    ),
    (
        {"type": "session.input_audio.append", "audio": TICK},
        {"type": "session.update", "session": {"delegation": {"type": "responses", "responses": _RESPONSES}}},
        {"type": "session.input_audio.mute", "event_id": "e"},
        {"type": "session.input_audio.unmute"},
        {"type": "session.instructions.append", "content": "c"},
        {"type": "session.commentary.append", "content": "c", "delegation_id": "delegation_1"},
        {"type": "response.item.create", "item": {"type": "function_call_output", "call_id": "c7", "output": "18"}},
        {"type": "response.item.create", "item": _HI},
        {"type": "response.create"},
        {"type": "decision.create"},
        {"type": "session.close"},
    ),
    probe={"type": "session.thinking.append", "content": WORD, "event_id": WORD},
    reaches=Remember("system", WORD),
    ack=lambda message: '"session.thinking.appended"' in message and WORD in message,
    storm={
        "type": "session.update",
        "session": {"delegation": {"type": "responses", "responses": {"instructions": "N"}}},
    },
    forgives=True,
)

_SCHEMA: Json = {"type": "OBJECT", "properties": {"a": {"items": {}}}}
_DECLARED: Json = {"name": "f", "description": "d", "parameters": _SCHEMA}
GEMINI = Talk(
    "gemini",
    "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    (
        {
            "setup": {
                "model": "models/any",
                "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": {"languageCode": "en-US"}},
                "systemInstruction": {"parts": [{"text": "i"}]},
                "tools": [{"functionDeclarations": [_DECLARED]}],
                "realtimeInputConfig": {"automaticActivityDetection": {"disabled": True, "silenceDurationMs": 300}},
                "inputAudioTranscription": {},
                "outputAudioTranscription": {},
                "explicitVadSignal": True,
            }
        },
    ),
    (
        {"realtimeInput": {"audio": {"data": TICK, "mimeType": "audio/pcm;rate=24000"}}},
        {"realtimeInput": {"mediaChunks": [{"data": TICK, "mimeType": "audio/pcm;rate=44100"}]}},
        {"realtimeInput": {"video": {"data": "/9g=", "mimeType": "image/jpeg"}, "text": "hi"}},
        {"realtimeInput": {"activityStart": {}}},
        {"realtimeInput": {"activityEnd": {}, "audioStreamEnd": True}},
        {
            "clientContent": {
                "turns": [{"role": "user", "parts": [{"text": "hi"}, {"functionCall": {"name": "f", "args": {}}}]}],
                "turnComplete": True,
            }
        },
        {"toolResponse": {"functionResponses": [{"id": "c7", "name": "f", "response": {"output": "18"}}]}},
        {"contextUpdate": {"tools": [{"functionDeclarations": [_DECLARED]}]}},
    ),
    probe={"realtimeInput": {"text": WORD}},
    reaches=TypedText(WORD),
    ack=lambda message: '"turnComplete"' in message,
    storm={"contextUpdate": {"systemInstruction": {"parts": [{"text": "N"}]}}},
    forgives=False,
)

_START: Json = {
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
    "customParameters": {"persona": "p", "voice": "anna", "language": "en"},
}
TWILIO = Talk(
    "twilio",
    "/twilio",
    (
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {"event": "start", "sequenceNumber": "1", "streamSid": "MZ", "start": {"callSid": "CA", **_START}},
    ),
    (
        {"event": "media", "streamSid": "MZ", "media": {"track": "inbound", "payload": TICK}},
        {"event": "media", "streamSid": "MZ", "media": {"chunk": "7", "timestamp": "120", "payload": "////"}},
        {"event": "mark", "streamSid": "MZ", "mark": {"name": "3"}},
        {"event": "dtmf", "streamSid": "MZ", "dtmf": {"track": "inbound_track", "digit": "1"}},
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {"event": "stop", "streamSid": "MZ", "stop": {"callSid": "CA"}},
    ),
    probe={"event": "dtmf", "streamSid": "MZ", "dtmf": {"digit": "D"}},
    reaches=Remember("user", "(pressed D on the telephone)"),
    ack=None,
    storm={"event": "dtmf", "streamSid": "MZ", "dtmf": {"digit": "N"}},
    forgives=False,
    bytes_a_second=8_000,
)

TALKS = (REALTIME, LIVE, GEMINI, TWILIO)


# --- all that can be wrong --------------------------------------------------------------------------------------------

ODD = (
    *(None, True, 7, -1, -1.5, 10**400, 1e308, float("nan"), float("inf")),
    *("", "x", "\0", "\ud800", "a\udc00", "9" * 5_000, "session.start", "audio/pcmu"),
    *([], {}, [[[]]], [None], [{}], {"": ""}, {"type": "x"}, {"a": {"b": {}}}),
)
DEEP = (60, 300, 900, 980, 100_000)
BYTES = (b"", b"\xff", b"\xed\xa0\x80", b'"\xc0\x80"', bytes(100))


@dataclass(frozen=True)
class Turn:
    """What a client sends at once."""

    name: str
    messages: tuple[Sent, ...]

    def __repr__(self) -> str:
        return f"{self.name}: {len(self.messages)} x {str(self.messages[0])[:500]}"

    def _repr_pretty_(self, printer, _) -> None:
        printer.text(repr(self))


def spots(value: Any, path: Spot = ()) -> Iterator[Spot]:
    """Every place in a message, itself included."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from spots(inner, (*path, key))


def put(value: Any, path: Spot, new: Any) -> Any:
    """The message with something else in that place."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: put(value[key], tuple(rest), new)}
    return [put(inner, tuple(rest), new) if at == key else inner for at, inner in enumerate(value)]


def nested(message: Json, path: Spot, depth: int, kind: str) -> str:
    """The message as JSON, with `depth` lists or objects in that place."""
    begin, end = {"list": ("[", "]"), "object": ('{"a":', "}")}[kind]
    return json.dumps(put(message, path, "HERE")).replace('"HERE"', f"{begin * depth}1{end * depth}")


def stormed(talk: Talk, times: int) -> tuple[str, ...]:
    """So many changes of the settings, each a little different."""
    return tuple(json.dumps(talk.storm).replace('"N"', json.dumps(str(n % 10))) for n in range(times))


def turns(talk: Talk) -> st.SearchStrategy[Turn]:
    """Anything at all that a client may come up with, wrong or right."""
    known = (*talk.opening, *talk.valid)
    places = [(message, path) for message in known for path in spots(message)]
    valid = st.sampled_from(talk.valid).map(json.dumps)
    wrong = st.builds(lambda at, odd: json.dumps(put(at[0], at[1], odd)), st.sampled_from(places), st.sampled_from(ODD))
    deep = st.builds(
        lambda at, depth, kind: nested(at[0], at[1], depth, kind),
        st.sampled_from(places),
        st.sampled_from(DEEP),
        st.sampled_from(["list", "object"]),
    )
    cut = st.builds(lambda message, share: message[: int(len(message) * share)], valid, st.floats(0, 1))
    kinds = {
        "valid": valid,
        "wrong": wrong,
        "unknown": st.sampled_from(['{"type":"no.such"}', '{"event":"nonsense"}', '{"setup":{}}', "[]", "{}"]),
        "deep": deep,
        "cut": cut,
        "binary": valid.map(str.encode) | st.sampled_from(BYTES) | st.binary(max_size=40),
        "no utf-8": st.sampled_from(BYTES[1:4]).map(Raw),
        "big": st.just(talk.loud(MANY_TICKS[: len(MANY_TICKS) // 2])),
        "too big": st.just(talk.loud(MANY_TICKS)),
    }
    single = st.one_of(*(each.map(lambda message, name=name: Turn(name, (message,))) for name, each in kinds.items()))
    return single | st.just(Turn("storm", stormed(talk, 200)))


# --- who sends it -----------------------------------------------------------------------------------------------------


class Guest:
    """A client that reads all the time, whatever it sends."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[str] = []
        self.end: tuple[int | None, str] | None = None  # (close code, reason)
        self._reading = asyncio.create_task(self._read())

    async def send(self, *messages: Sent | Mapping[str, Any]) -> None:
        """Nothing is wrong with a server that has hung up meanwhile."""
        with suppress(ConnectionError):
            for message in messages:
                await self._send(message)

    async def _send(self, message: Sent | Mapping[str, Any]) -> None:
        if isinstance(message, Raw):
            await self.socket.send_frame(message.data, aiohttp.WSMsgType.TEXT)
        elif isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def until(self, done: Callable[[], bool]) -> None:
        """Returns when it is so, or the server has hung up."""
        async with asyncio.timeout(60):
            while not done() and not self.end:  # noqa: ASYNC110 (what is waited for happens in several places)
                await asyncio.sleep(0.002)

    async def leave(self) -> None:
        await self.socket.close()
        await self._reading

    async def _read(self) -> None:
        while self.end is None:
            message = await self.socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self.messages.append(message.data)
            elif message.type is aiohttp.WSMsgType.CLOSE:
                self.end = (message.data, message.extra or "")
            else:
                self.end = (self.socket.close_code, "")


@asynccontextmanager
async def visiting(here: Site, path: str) -> AsyncIterator[Guest]:
    async with await here.call(path) as socket:
        guest = Guest(socket)
        try:
            yield guest
        finally:
            await guest.leave()


@asynccontextmanager
async def beside(here: Site) -> AsyncIterator[list[bytes]]:
    """Someone in a conversation with the echo agent, whose every tick has to come back as it was. Gives the ticks."""
    noise, ticks, over = random.Random(7), [], asyncio.Event()
    async with await here.call("/api/pcm?agent=echo") as socket:
        assert json.loads((await socket.receive(30)).data)["type"] == "ready"

        async def talk() -> None:
            while not over.is_set():
                tick = noise.randbytes(FRAME_SAMPLES * 2)
                await socket.send_bytes(tick)
                assert (await socket.receive(60)).data == tick, f"tick {len(ticks)} of the neighbour is not its own"
                ticks.append(tick)
                await asyncio.sleep(0.01)

        talking = asyncio.create_task(talk())
        try:
            yield ticks
        finally:
            over.set()
            await talking
