"""docs/CLIENTS.md tells the truth: every event of the pinned SDKs has a row, and the wires do what the row says."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from google.genai import types as google
from openai.types import live, realtime
from openai.types.realtime.realtime_audio_config_input import RealtimeAudioConfigInput
from openai.types.realtime.realtime_audio_config_output import RealtimeAudioConfigOutput
from openai.types.realtime.realtime_response_create_params import RealtimeResponseCreateParams
from pydantic import BaseModel, TypeAdapter
from pydantic.alias_generators import to_camel

from duplex.agents.attended import NOTES as NATIVE
from duplex.config import merged
from duplex.events import Answered, Answering, Failed, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Event, Frame
from duplex.notes import Note
from duplex.protocols.gemini.wire import GeminiWire
from duplex.protocols.live.wire import LiveWire
from duplex.protocols.realtime.wire import RealtimeWire
from duplex.protocols.twilio import TwilioWire
from duplex.protocols.wire import BadMessage, Bye, Item, Message, Open, Reply, Wire
from duplex.server.routes import ROUTES
from duplex.session import Capabilities

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs/CLIENTS.md").read_text()
CAN = Capabilities(
    "able", persona=True, voices=("anna", "ben"), tools=True, images=True, codebooks=8, notes=get_args(Note)
)
LOUD = np.full(FRAME_SAMPLES, 0.25, np.float32)
TICK = base64.b64encode(b"\x00\x20" * FRAME_SAMPLES).decode()  # LOUD, as PCM16 at 24 kHz
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
Table = dict[str, Any]


def rows(title: str) -> dict[str, str]:
    """Each name in the first column of a table -> the word in its second column. No name comes twice."""
    [part] = re.findall(rf"^### {re.escape(title)}$(.*?)(?=^#|\Z)", TEXT, re.M | re.S)
    found = [
        (name, word) for names, word in re.findall(r"^\| (`[^|]*) \| (\w+) \|", part, re.M) for name in quoted(names)
    ]
    assert len(found) == len(dict(found)), title
    return dict(found)


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def kinds(union: Any) -> set[str]:
    """The `type`s of one of OpenAI's unions of events."""
    return {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(union)[0])}


def fields(kind: type[BaseModel], where: str = "", *without: str) -> set[str]:
    return {where + name for name in kind.model_fields if name not in without}


def nested(path: str, value: Any) -> Table:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


# --- what a wire does -------------------------------------------------------------------------------------------------


def shown(items: Iterable[Item | Message]) -> list[str]:
    """Items and messages so that they can be compared: sound by its samples, all else in words."""
    return [str((i.t, i.pcm.tobytes())) if isinstance(i, Frame) and i.pcm is not None else repr(i) for i in items]


def received(wire: Wire, *messages: Table) -> list[Item]:
    return [item for message in messages for item in wire.receive(json.dumps(message))]


def told(wire: Wire, t: int, *events: Event, text: str = "", pcm: np.ndarray = LOUD) -> list[Message]:
    return wire.send(Frame(t, pcm, text=text, events=events))


def talk(wire: Wire, begin: int = 0) -> list[Message]:
    """A turn of the user, and an answer that says two words and calls a tool."""
    return [
        *told(wire, begin, SpeechStarted(0), pcm=0 * LOUD),
        *told(wire, begin + 1, SpeechStopped(1920), Transcript("hello"), Answering(), text=" good"),
        *told(wire, begin + 2, ToolCall("c1", "f", "{}"), text=" day"),
        *told(wire, begin + 3, Answered()),
    ]


def events_in(items: Iterable[Item | Message]) -> list[Table]:
    found = [m for item in items for m in (item.messages if isinstance(item, Reply) else [item])]
    return [json.loads(message) for message in found if isinstance(message, (str, bytes))]


def outcome(items: Iterable[Item]) -> str:
    """As the tables have it, for one event of OpenAI's protocols."""
    items = list(items)
    if any(event["type"] == "error" for event in events_in(items)):
        return "refused"
    return "supported" if items else "ignored"


def effect(below: list[str] | None, above: list[str] | None) -> str:
    """The same for a field: what happens without it, and with it; None: the connection is closed."""
    if above is None:
        return "refused"
    return "ignored" if above == below else "supported"


def fits(word: str, found: str) -> bool:
    return found == ("supported" if word == "partly" else word)


# --- Realtime ---------------------------------------------------------------------------------------------------------

ITEM = {"id": "i1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
MORE = {"type": "conversation.item.create", "item": ITEM}
APPEND = {"type": "input_audio_buffer.append", "audio": TICK}
BY_HAND = {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}}
REALTIME: dict[str, list[Table]] = {  # the last one is judged
    "session.update": [{"session": {"type": "realtime", "instructions": "Be brief."}}],
    "input_audio_buffer.append": [{"audio": TICK}],
    "input_audio_buffer.commit": [BY_HAND, APPEND, {}],
    "input_audio_buffer.clear": [{}],
    "output_audio_buffer.clear": [{}],
    "conversation.item.create": [{"item": ITEM}],
    "conversation.item.retrieve": [MORE, {"item_id": "i1"}],
    "conversation.item.delete": [MORE, {"item_id": "i1"}],
    "conversation.item.truncate": [MORE, {"item_id": "i1", "content_index": 0, "audio_end_ms": 9_000}],
    "response.create": [{}],
    "response.cancel": [{"type": "response.create"}, {}],
}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
UPDATES: Table = {
    "type": "transcription",
    "model": "another",
    "instructions": "Be brief.",
    "output_modalities": ["text"],
    "audio.input.format": {"type": "audio/pcmu"},
    "audio.input.transcription": {"model": "whisper-1"},
    "audio.input.turn_detection": {"type": "semantic_vad"},
    "audio.input.noise_reduction": {"type": "near_field"},
    "audio.output.format": {"type": "audio/pcmu"},
    "audio.output.voice": "ben",
    "audio.output.speed": 1.5,
    "tools": [FUNCTION],
    "tool_choice": "required",
    "max_output_tokens": 9,
    "include": ["item.input_audio_transcription.logprobs"],
    "parallel_tool_calls": True,
    "prompt": {"id": "p"},
    "reasoning": {"effort": "low"},
    "tracing": "auto",
    "truncation": "auto",
}
RESPONSES: Table = {
    "instructions": "Be brief.",
    "output_modalities": ["text"],
    "metadata": {"a": "b"},
    "conversation": "none",
    "input": [ITEM],
    "audio": {"output": {"voice": "ben"}},
    "max_output_tokens": 9,
    "parallel_tool_calls": True,
    "prompt": {"id": "p"},
    "reasoning": {"effort": "low"},
    "tool_choice": "required",
    "tools": [FUNCTION],
}


def realtime_wire() -> RealtimeWire:
    wire = RealtimeWire("moshi")
    wire.hello(CAN)
    return wire


@pytest.mark.parametrize("kind", sorted(kinds(realtime.RealtimeClientEvent)))
def test_realtime_client_events(kind):
    *before, asked = REALTIME[kind]
    event = {"type": kind, **asked}
    TypeAdapter(realtime.RealtimeClientEvent).validate_python(event)
    wire = realtime_wire()
    assert outcome(received(wire, *before)) != "refused"
    assert fits(rows("Realtime: client events")[kind], outcome(received(wire, event)))


def realtime_course(session: Table, response: Table) -> tuple[bool, list[str]]:
    """(whether something of it was turned down, all that happens in a conversation that begins so)."""
    wire = realtime_wire()
    update = {"type": "session.update", "session": {"type": "realtime", **session}}
    items = received(wire, update, {"type": "response.create", "response": response}, APPEND)
    course = shown([*items, *talk(wire)])
    turned_down = any(event["type"] == "error" or "unsupported" in event["session"] for event in events_in(items))
    return turned_down, [re.sub(r'"max_output_tokens":[^,}]*', "", line) for line in course]  # it is shown back


@pytest.mark.parametrize(
    ("title", "name"), [("session.update", n) for n in UPDATES] + [("response.create", n) for n in RESPONSES]
)
def test_realtime_fields(title, name):
    is_update = title == "session.update"
    given = nested(name, (UPDATES if is_update else RESPONSES)[name])
    body = {"session": {"type": "realtime", **given}} if is_update else {"response": given}
    TypeAdapter(realtime.RealtimeClientEvent).validate_python({"type": title, **body})
    _, below = realtime_course({}, {})
    turned_down, above = realtime_course(given if is_update else {}, {} if is_update else given)
    found = effect(below, None if turned_down else above)
    assert fits(rows(f"Realtime: fields of {title}")[name], found)


def test_realtime_has_a_row_for_everything():
    assert rows("Realtime: client events").keys() == kinds(realtime.RealtimeClientEvent)
    assert rows("Realtime: server events").keys() == kinds(realtime.RealtimeServerEvent)
    sound = fields(RealtimeAudioConfigInput, "audio.input.") | fields(RealtimeAudioConfigOutput, "audio.output.")
    known = fields(realtime.RealtimeSessionCreateRequest, "", "audio") | sound
    assert rows("Realtime: fields of session.update").keys() == known == UPDATES.keys()
    known = fields(RealtimeResponseCreateParams)
    assert rows("Realtime: fields of response.create").keys() == known == RESPONSES.keys()


def test_realtime_sends_what_the_table_says():
    sent = events_in(RealtimeWire("moshi").hello(CAN))
    for kind, (*before, asked) in REALTIME.items():
        sent += events_in(received(realtime_wire(), *before, {"type": kind, **asked}))
    wire = realtime_wire()
    heard = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    sent += events_in(received(wire, {"type": "session.update", "session": heard}, {"type": "nonsense"}))
    sent += events_in(talk(wire))
    received(wire, {"type": "session.update", "session": {"output_modalities": ["text"]}})
    sent += events_in([*talk(wire, 4), *told(wire, 8, Failed("stt", "no memory"))])
    assert {event["type"] for event in sent} == sent_by("Realtime: server events")


def sent_by(title: str) -> set[str]:
    table = rows(title)
    assert set(table.values()) <= {"sent", "never"}
    return {name for name, word in table.items() if word == "sent"}


# --- GPT-Live ---------------------------------------------------------------------------------------------------------

WORK = {"type": "responses", "responses": {"model": "m", "tools": [FUNCTION]}}
LIVE: dict[str, Table] = {
    "session.start": {"session": {"model": "m"}},
    "session.update": {"session": {"delegation": {"type": "responses", "responses": {"tools": []}}}},
    "session.input_audio.append": {"audio": TICK},
    "session.input_audio.mute": {},
    "session.input_audio.unmute": {},
    "session.output_audio.fixture.play": {"audio": TICK},
    "session.instructions.append": {"content": "Be brief."},
    "session.thinking.append": {"content": "It rains."},
    "session.commentary.append": {"content": "It rains."},
    "decision.create": {"event_id": "e"},
    "decision.item.create": {"item": {"type": "message", "role": "user", "content": "hi"}},
    "decision.item.delete": {"item_id": "i"},
    "response.item.create": {"item": {"type": "function_call_output", "call_id": "c1", "output": "it rains"}},
    "response.create": {},
    "session.close": {},
}
DECISIONS: Table = {"questions": []}
STARTS: Table = {
    "model": "another",
    "instructions": "Be brief.",
    "audio": {"format": {"type": "audio/pcm", "rate": 16_000}},
    "delegation": WORK,
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    "client": {"data_channel": {"allowed_client_events": "all"}},
    "safety_identifier": "s",
    "store": True,
    "triggers": [{"type": "decisions", "event_type": "session.input_transcript.delta", "decisions": DECISIONS}],
}


def live_wire(**session: Any) -> LiveWire:
    wire = LiveWire()
    received(wire, {"type": "session.start", "session": {"model": "m", **session}})
    wire.hello(CAN)
    return wire


@pytest.mark.parametrize("kind", sorted(kinds(live.ClientEvent)))
def test_live_client_events(kind):
    event = {"type": kind, **LIVE[kind]}
    TypeAdapter(live.ClientEvent).validate_python(event)
    wire = LiveWire() if kind == "session.start" else live_wire(delegation=WORK)
    assert fits(rows("GPT-Live: client events")[kind], outcome(received(wire, event)))


def live_course(**session: Any) -> list[str] | None:
    wire = LiveWire()
    try:
        items = received(wire, {"type": "session.start", "session": {"model": "m", **session}})
    except BadMessage:
        return None
    first, heard = wire.hello(CAN), received(wire, {"type": "session.input_audio.append", "audio": TICK})
    return shown([*items, *first, *heard, *talk(wire)])


@pytest.mark.parametrize("name", STARTS)
def test_live_fields(name):
    given = {name: STARTS[name]}
    live.SessionStartEvent.model_validate({"type": "session.start", "session": {"model": "m", **given}})
    found = effect(live_course(), live_course(**given))
    assert fits(rows("GPT-Live: fields of session.start")[name], found)


def test_live_has_a_row_for_everything():
    assert rows("GPT-Live: client events").keys() == kinds(live.ClientEvent)
    assert rows("GPT-Live: server events").keys() == kinds(live.ServerEvent)
    assert rows("GPT-Live: fields of session.start").keys() == fields(live.SessionConfig) == STARTS.keys()


def test_live_sends_what_the_table_says():
    wire = LiveWire()
    received(wire, {"type": "session.start", **LIVE["session.start"]})
    sent = [*events_in(wire.hello(CAN)), *events_in(talk(wire)), *events_in(told(wire, 4, Failed("stt", "no memory")))]
    wire = live_wire(delegation=WORK)
    for kind, asked in LIVE.items():
        sent += events_in(received(wire, {"type": kind, **asked}))
    sent += events_in([*talk(wire), *(message for t in range(4, 126) for message in told(wire, t))])
    assert {event["type"] for event in sent} == sent_by("GPT-Live: server events")


# --- Gemini Live ------------------------------------------------------------------------------------------------------

VAD = "setup.realtimeInputConfig.automaticActivityDetection."
SETUP: Table = {
    "setup.model": "models/another",
    "setup.systemInstruction": {"parts": [{"text": "Be brief."}]},
    "setup.tools": [{"functionDeclarations": [{"name": "f"}]}],
    "setup.generationConfig.responseModalities": ["TEXT"],
    "setup.generationConfig.speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "ben"}}},
    VAD + "disabled": True,
    VAD + "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
    VAD + "endOfSpeechSensitivity": "END_SENSITIVITY_LOW",
    VAD + "silenceDurationMs": 200,
    VAD + "prefixPaddingMs": 200,
    "setup.realtimeInputConfig.activityHandling": "NO_INTERRUPTION",
    "setup.realtimeInputConfig.turnCoverage": "TURN_INCLUDES_ALL_INPUT",
    "setup.realtimeInputConfig.interimTranscriptTimestampEnabled": True,
    "setup.inputAudioTranscription": {},
    "setup.outputAudioTranscription": {},
    "setup.explicitVadSignal": True,
    "setup.historyConfig": {"initialHistoryInClientContent": True},
    "setup.sessionResumption": {"handle": "h"},
    "setup.contextWindowCompression": {"slidingWindow": {}},
    "setup.proactivity": {"proactiveAudio": True},
    "setup.avatarConfig": {"avatarName": "a"},
    "setup.safetySettings": [],
    "setup.labels": {"a": "b"},
}
NEEDS = {"setup.realtimeInputConfig.turnCoverage": nested(VAD + "disabled", True)}
TURNS = [{"role": "user", "parts": [{"text": "hi"}]}]
SOUND = {"data": TICK, "mimeType": "audio/pcm;rate=24000"}
SHORT = {"data": TICK[: len(TICK) // 2], "mimeType": "audio/pcm;rate=24000"}
HELD = {"activityStart": {}}
WAITED = {"id": "c1", "response": {"a": 1}}
SAID: dict[str, tuple[Table, Any]] = {  # what stands beside it, and its value
    "realtimeInput.audio": ({}, SOUND),
    "realtimeInput.mediaChunks": ({}, [SOUND]),
    "realtimeInput.video": ({}, {"data": PICTURE, "mimeType": "image/png"}),
    "realtimeInput.text": ({}, "hi"),
    "realtimeInput.activityStart": ({}, {}),
    "realtimeInput.activityEnd": (HELD, {}),
    "realtimeInput.audioStreamEnd": ({"audio": SHORT}, True),
    "clientContent.turns": ({}, TURNS),
    "clientContent.turnComplete": ({"turns": TURNS}, True),
    "toolResponse.functionResponses.id": ({"response": {}}, "c1"),
    "toolResponse.functionResponses.name": ({"response": {}}, "f"),
    "toolResponse.functionResponses.response": ({"id": "c1"}, {"a": 1}),
    "toolResponse.functionResponses.scheduling": (WAITED, "SILENT"),
    "toolResponse.functionResponses.willContinue": (WAITED, True),
    "toolResponse.functionResponses.parts": (WAITED, [{"inlineData": SOUND}]),
    "contextUpdate.systemInstruction": ({}, {"parts": [{"text": "Be brief."}]}),
    "contextUpdate.tools": ({}, {"tools": [{"functionDeclarations": [{"name": "f"}]}]}),
}
OTHERS = "setup.generationConfig."


def gemini_wire(**setup: Any) -> GeminiWire:
    wire = GeminiWire()
    received(wire, {"setup": {"model": "models/m", **setup}})
    wire.hello(CAN)
    return wire


def gemini_course(setup: Table) -> list[str] | None:
    wire = GeminiWire()
    try:
        items = received(wire, merged({"setup": {"model": "models/m"}}, setup))
    except BadMessage:
        return None
    first = wire.hello(CAN)
    more = received(
        wire, {"clientContent": {"turns": TURNS, "turnComplete": True}}, {"realtimeInput": {"audio": SOUND}}
    )
    return shown([*items, *first, *more, *talk(wire)])


def known_to_google(kind: type[BaseModel], where: str, *without: str) -> set[str]:
    return {where + to_camel(name) for name in kind.model_fields if name not in without}


def google_setup() -> set[str]:
    """LiveClientSetup has no realtimeInputConfig, but the SDK sends it with the setup."""
    turns = known_to_google(google.RealtimeInputConfig, "setup.realtimeInputConfig.", "automatic_activity_detection")
    return (
        known_to_google(google.LiveClientSetup, "setup.", "generation_config")
        | known_to_google(google.GenerationConfig, OTHERS)
        | known_to_google(google.AutomaticActivityDetection, VAD)
        | turns
    )


@pytest.mark.parametrize("name", sorted(google_setup()))
def test_gemini_setup(name):
    table = rows("Gemini Live: setup")
    word = table[f"{OTHERS}*"] if name.startswith(OTHERS) and name not in table else table[name]
    below = NEEDS.get(name, {})
    value = 1 if name.startswith(OTHERS) and name not in SETUP else SETUP[name]
    found = effect(gemini_course(below), gemini_course(merged(below, nested(name, value))))
    assert fits(word, found)


@pytest.mark.parametrize("name", SAID)
def test_gemini_client_messages(name):
    kind, _, inner = name.partition(".")
    beside, value = SAID[name]
    field = inner.rpartition(".")[2]

    def course(body: Table) -> list[str] | None:
        by_hand = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
        wire = gemini_wire(**(by_hand if "activity" in name else {}))
        told(wire, 0, Answering(), ToolCall("c1", "f", "{}"), Answered())
        message = {kind: {"functionResponses": [body]} if kind == "toolResponse" else body}
        google.LiveClientMessage.model_validate(message)
        try:
            return shown(received(wire, message))
        except BadMessage:
            return None

    assert fits(rows("Gemini Live: client messages")[name], effect(course(beside), course({**beside, field: value})))


def test_gemini_has_a_row_for_everything():
    table = rows("Gemini Live: setup").keys() - {f"{OTHERS}*"}
    assert table <= google_setup() and table == SETUP.keys()
    assert {name for name in google_setup() if not name.startswith(OTHERS)} <= table
    said = (
        known_to_google(google.LiveClientRealtimeInput, "realtimeInput.")
        | known_to_google(google.LiveClientContent, "clientContent.")
        | known_to_google(google.FunctionResponse, "toolResponse.functionResponses.")
        | known_to_google(google.LiveClientContextUpdate, "contextUpdate.")
    )
    assert rows("Gemini Live: client messages").keys() == said == SAID.keys()
    tops = {name.partition(".")[0] for name in [*said, "setup"]}
    assert known_to_google(google.LiveClientMessage, "") == tops
    server = known_to_google(google.LiveServerContent, "serverContent.")
    server |= known_to_google(google.LiveServerMessage, "", "server_content")
    assert rows("Gemini Live: server messages").keys() == server


def test_gemini_sends_what_the_table_says():
    asked = {
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "explicitVadSignal": True,
        "sessionResumption": {},
    }
    wire = GeminiWire()
    received(wire, {"setup": asked})
    sent = [*wire.hello(CAN), *talk(wire), *told(wire, 4, Answering()), *told(wire, 5, Interrupted("good"))]
    sent += [*told(wire, 6, Answered("interrupted")), *told(wire, 7, Answering()), *told(wire, 8, Answered("failed"))]
    sent += [*told(wire, 9, Answering()), *told(wire, 10, Answered())]
    messages = [json.loads(message) for message in sent]
    names = {name for message in messages for name in message if name != "serverContent"}
    inner = {f"serverContent.{name}" for message in messages for name in message.get("serverContent", {})}
    assert names | inner == sent_by("Gemini Live: server messages")


# --- Twilio, which has no SDK -----------------------------------------------------------------------------------------

FORM = {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1}
BEGIN = {"event": "start", "streamSid": "MZ", "start": {"mediaFormat": FORM}}
MULAW = {"track": "inbound", "chunk": "1", "payload": base64.b64encode(b"\x80" * 800).decode()}
PHONE: dict[str, Table] = {
    "connected": {"protocol": "Call"},
    "start": BEGIN,
    "media": {"media": MULAW},
    "mark": {"mark": {"name": "0"}},
    "dtmf": {"dtmf": {"digit": "1"}},
    "stop": {},
}


def test_twilio_from_the_telephone():
    table = rows("Twilio: messages from the telephone")
    assert table == {"connected": "ignored", **dict.fromkeys(("start", "media", "mark", "dtmf", "stop"), "supported")}
    assert received(TwilioWire(), {"event": "connected", "protocol": "Call"}, {"event": "anything"}) == []
    wire = TwilioWire()
    [begun, *_] = received(wire, BEGIN)
    wire.hello(Capabilities("able", full_duplex=True))
    assert isinstance(begun, Open)
    told(wire, 0, Answering(), text="good day")
    told(wire, 1, text=" to you")
    [frame] = received(wire, {"event": "media", "streamSid": "MZ", "media": MULAW})[:1]
    assert isinstance(frame, Frame)
    assert received(wire, {"event": "mark", "streamSid": "MZ", "mark": {"name": "0"}}) == []
    told(wire, 2, Interrupted("good day"))
    [lost, pressed] = received(wire, {"event": "dtmf", "streamSid": "MZ", "dtmf": {"digit": "1"}})
    assert "good day" in repr(lost) and "to you" not in repr(lost) and "pressed 1" in repr(pressed)
    assert received(wire, {"event": "stop", "streamSid": "MZ"}) == [Bye()]


def test_twilio_to_the_telephone():
    wire = TwilioWire()
    received(wire, BEGIN)
    wire.hello(Capabilities("able"))
    sent = [*told(wire, 0, Answering(), text="good day"), *told(wire, 1, SpeechStarted(0))]
    assert {json.loads(message)["event"] for message in sent} == sent_by("Twilio: messages to the telephone")


# --- the rest of the page ---------------------------------------------------------------------------------------------


def test_every_table_uses_the_words_that_the_page_explains():
    for title in re.findall(r"^### (\S+(?: \S+)?: .*)$", TEXT, re.M):
        assert set(rows(title).values()) <= {"supported", "partly", "ignored", "refused", "sent", "never"}, title


def test_what_the_agents_take():
    from duplex.agents.cascade.session import NOTES

    table = dict(re.findall(r"^\| `(\w+)` \| (\w+ \| .*?) \|$", section("What each agent can do"), re.M))
    assert table.keys() == {kind.__name__ for kind in get_args(Note)}
    for kind in get_args(Note):
        native, cascade = table[kind.__name__].split(" | ")
        assert (native == "yes") == (kind in NATIVE) and (cascade == "yes") == (kind in NOTES), kind


def test_addresses_and_files():
    assert set(re.findall(r"`(/[a-z0-9/]+)`", TEXT)) - {"/twilio/voice"} <= ROUTES.keys()
    for path in quoted(TEXT):
        if re.fullmatch(r"(examples|duplex|tests)/[\w/]+\.py", path):
            assert (ROOT / path).exists(), path


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]
