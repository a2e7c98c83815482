"""GPT-Live: literal messages both ways, what is refused, and how."""

import base64
import json

import numpy as np
import pytest

from duplex.events import Answered, Answering, Failed, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Frame
from duplex.notes import Instruct, Remember, Respond, Say, Tool, ToolResult, TurnTaking, UseTools, UseVoice
from duplex.protocols.live.caller import LiveCaller
from duplex.protocols.live.wire import LiveWire
from duplex.protocols.wire import Aside, BadMessage, Bye, Open, Ready, Refused, Reply
from duplex.session import Capabilities, SessionConfig
from tests.protocols.live_talk import CAN, but_sound, notes, opened, replies, said, send, told

WEATHER = {"type": "function", "name": "weather", "description": "now", "parameters": {"type": "object"}}
RESPONSES = {"type": "responses", "responses": {"model": "gpt-5", "instructions": "Be brief.", "tools": [WEATHER]}}
DECISIONS = {"type": "decisions", "decisions": {"model": "m", "questions": []}}
START = {
    "model": "gpt-live-1",
    "instructions": "You are Moshi.",
    "audio": {"format": {"type": "audio/pcm", "rate": 16000}, "output": {"voice": "marin"}},
    "delegation": RESPONSES,
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "It is Monday."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi!"}]},
    ],
}


def test_a_session_starts_with_what_was_asked_for():
    wire = LiveWire("session_1")
    first, *items = send(wire, "session.start", event_id="mine", session=START)
    assert first == Open("gpt-live-1", SessionConfig(turns=TurnTaking(), transcribe=True))
    assert items == [
        Instruct("You are Moshi.\n\nBe brief."),
        UseVoice("marin"),
        UseTools((Tool("weather", "now", {"type": "object"}),)),
        Remember("system", "It is Monday."),
        Remember("user", "Hello."),
        Remember("assistant", "Hi!"),
    ]
    [message] = wire.hello(CAN)
    assert json.loads(message) == {
        "type": "session.started",
        "session": {
            "id": "session_1",
            "model": "gpt-live-1",
            "status": "active",
            "expires_at": 4_102_444_800,
            "audio": {"format": {"type": "audio/pcm", "rate": 16000}, "output": {"voice": "marin"}},
            "instructions": "You are Moshi.",
            "delegation": RESPONSES,
        },
        "event_id": "event_1",
        "client_event_id": "mine",
    }
    told([message])


def test_the_least_that_a_client_may_ask_for():
    wire = LiveWire()
    items = send(wire, "session.start", session={"model": "m", "input": [], "audio": {"output": {}}})
    assert isinstance(items[0], Open) and len(items) == 2
    [tools] = items[1:]
    assert isinstance(tools, UseTools) and [tool.name for tool in tools.tools] == ["delegate"]
    [started] = told(wire.hello(CAN))
    assert started["session"]["audio"] == {"format": {"type": "audio/pcm", "rate": 24000}}
    assert started["session"]["delegation"] == {"type": "client"}


def test_the_roles_and_voices_that_clients_also_use():
    system = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "x"}]}
    wire = LiveWire()
    items = send(
        wire, "session.start", session={"model": "m", "input": [system], "audio": {"output": {"voice": {"id": "v1"}}}}
    )
    assert UseVoice("v1") in items and Remember("system", "x") in items


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"type": "session.input_audio.append", "audio": ""}, "session.start must come first, got session.input_audio"),
        ({"type": "nonsense"}, "no event type 'nonsense'; known: session.start, session.update"),
        ({"type": "session.start"}, "session: Field required"),
        ({"type": "session.start", "session": {}}, "session.model: Field required"),
        (
            {"type": "session.start", "session": {"model": "m", "delegation": DECISIONS}},
            "delegation must be client or responses here, not decisions",
        ),
        (
            {"type": "session.start", "session": {"model": "m", "delegation": {"type": "responses"}}},
            "session.delegation.responses: Field required",
        ),
        (
            {
                "type": "session.start",
                "session": {"model": "m", "audio": {"format": {"type": "audio/pcmu", "rate": 9}}},
            },
            "audio.format must be one of audio/pcm at 24000, audio/pcm at 16000, audio/pcmu at 8000, audio/pcma",
        ),
        (
            {"type": "session.start", "session": {"model": "m", "input": [START["input"][0]] * 129}},
            "input may hold 128 messages, got 129",
        ),
        ([], "a message must be a JSON object"),
    ],
)
def test_what_cannot_begin_a_session_ends_the_call(first, reason):
    with pytest.raises(BadMessage, match=reason):
        LiveWire().receive(json.dumps(first))
    [event] = told(LiveWire.refuse(reason))
    assert event["error"] == {"type": "server_error", "code": "server_error", "message": reason}


def test_what_the_agent_cannot_do_is_told_and_the_session_goes_on():
    wire = opened()
    notes_and_codes = [
        (Instruct("x"), "instructions_unavailable"),
        (UseVoice("x"), "voice_unavailable"),
        (UseTools(()), "tools_unavailable"),
        (Remember("user", "x"), "context_unavailable"),
        (Say("x"), "commentary_unavailable"),
        (Respond(), "request_unavailable"),
    ]
    for note, code in notes_and_codes:
        assert told(wire.declined(note, "why")) == [{"type": "info", "code": code, "message": "why"}]
    items = send(
        LiveWire(), "session.start", session={"model": "m", "delegation": _responses({"type": "web_search"}, WEATHER)}
    )
    assert [type(item) for item in items] == [Open, UseTools, Reply]
    [info] = replies(items)
    assert info["message"] == "tools of type web_search are not served here, only functions"


def test_context_is_appended_at_a_time_of_the_session():
    wire = opened()
    assert len(send(wire, "session.input_audio.append", audio=base64.b64encode(bytes(2 * 24 * 100)).decode())) == 1
    for kind, items in {
        "instructions": [Remember("system", "Say it.")],
        "thinking": [Remember("system", "Say it.")],
        "commentary": [Remember("system", "Say it."), Respond()],
    }.items():
        got = send(wire, f"session.{kind}.append", content="Say it.", delegation_id=None, event_id="e")
        assert notes(got) == items
        [ack] = replies(got)
        assert ack == {"type": f"session.{kind}.appended", "start_ms": 100, "end_ms": 100, "client_event_id": "e"}


def test_an_agent_that_answers_no_order_says_it_and_what_it_cannot_take_is_an_error():
    wire = opened(Capabilities("native", notes=(Say,)))
    assert notes(send(wire, "session.commentary.append", content="Hello.", delegation_id=None)) == [Say("Hello.")]
    got = send(wire, "session.thinking.append", content="x", delegation_id=None, event_id="e7")
    assert notes(got) == []
    [event] = replies(got)
    assert event["client_event_id"] == event["error"]["client_event_id"] == "e7"
    assert event["error"]["message"] == "native cannot take thinking: it knows no Remember"


def test_muted_sound_is_silence_of_the_same_length():
    wire = opened()
    loud = base64.b64encode(np.full(FRAME_SAMPLES, 9000, "<i2").tobytes()).decode()
    [heard] = send(wire, "session.input_audio.append", audio=loud)
    assert heard.t == 0 and heard.pcm.min() > 0.2
    assert replies(send(wire, "session.input_audio.mute", event_id="m")) == [
        {"type": "session.input_audio.muted", "client_event_id": "m"}
    ]
    [heard] = send(wire, "session.input_audio.append", audio=loud)
    assert heard.t == 1 and not heard.pcm.any()
    assert [event["type"] for event in replies(send(wire, "session.input_audio.unmute"))] == [
        "session.input_audio.unmuted"
    ]
    [heard] = send(wire, "session.input_audio.append", audio=loud)
    assert heard.t == 2 and heard.pcm.min() > 0.2


def test_the_end():
    wire = opened()
    send(wire, "session.input_audio.append", audio=base64.b64encode(bytes(48_000)).decode())
    *closed, bye = send(wire, "session.close")
    assert bye == Bye()
    [event] = replies(closed)
    assert (event["type"], event["reason"], event["usage"]) == ("session.closed", "close_requested", {"seconds": 1.0})
    assert event["session"]["id"] == "session_1"


def test_usage_is_told_every_ten_seconds():
    wire = opened()
    events = [event for t in range(251) for event in but_sound(wire.send(said(t)))]
    assert events == [
        {"type": "session.usage.updated", "usage": {"seconds": s}, "context_window": {"usage_ratio": s / 240}}
        for s in (10.0, 20.0)
    ]


def test_what_the_user_said_comes_with_the_time_when_it_was_said():
    wire = opened()
    assert but_sound(wire.send(said(10, SpeechStarted(4_800)))) == []
    [first] = but_sound(wire.send(said(20, SpeechStopped(36_000), Answering(), Transcript("Hello."))))
    assert first == {"type": "session.input_transcript.delta", "delta": "Hello.", "start_ms": 200, "end_ms": 1500}
    wire.send(said(30, SpeechStarted(60_000)))
    wire.send(said(40, SpeechStopped(72_000), SpeechStarted(73_200)))
    [late] = but_sound(wire.send(said(41, Transcript("Still there?"))))
    assert (late["delta"], late["start_ms"], late["end_ms"]) == (" Still there?", 2500, 3000)
    [part] = but_sound(wire.send(said(42, Transcript("And"))))
    assert (part["delta"], part["start_ms"], part["end_ms"]) == (" And", 3050, 3440)
    [rest] = but_sound(wire.send(said(50, SpeechStopped(96_000), Transcript(" now"))))
    assert (rest["delta"], rest["start_ms"], rest["end_ms"]) == (" now", 3440, 4000)
    [odd] = but_sound(wire.send(said(51, Transcript("?"))))
    assert (odd["start_ms"], odd["end_ms"]) == (4000, 4000)


def test_what_the_agent_says_comes_with_its_tick():
    wire = opened()
    text, audio = told(wire.send(said(3, Answering(), level=0.1, text=" Hi")))
    assert text == {"type": "session.output_transcript.delta", "delta": " Hi", "start_ms": 240, "end_ms": 320}
    assert (audio["start_ms"], audio["end_ms"], len(base64.b64decode(audio["delta"]))) == (240, 320, 3840)


def test_a_stage_that_fails_is_told():
    [info] = but_sound(opened().send(said(0, Failed("stt", "no room"))))
    assert info == {"type": "info", "code": "stt_failed", "message": "no room"}


def test_a_task_for_the_client():
    wire = opened(delegation={"type": "client"})
    wire.send(said(0, Answering()))
    [created] = but_sound(wire.send(said(1, ToolCall("c1", "delegate", '{"task": "x"}'), Answered())))
    assert created == {
        "type": "session.delegation.created",
        "delegation": {"type": "delegation", "id": "delegation_1", "target": "client"},
        "offset_ms": 160,
    }
    thought = send(wire, "session.thinking.append", content="looking", delegation_id="delegation_1")
    assert notes(thought) == [Remember("system", "looking")]
    first = send(wire, "session.commentary.append", content="It is warm.", delegation_id="delegation_1")
    assert notes(first) == [ToolResult("c1", "It is warm."), Say("It is warm.")]
    more = send(wire, "session.commentary.append", content="And dry.", delegation_id="delegation_1")
    assert notes(more) == [Say("And dry.")]
    for kind in ("response.create", "response.item.create"):
        item = {"item": {"type": "function_call_output", "call_id": "c1", "output": "x"}}
        [wrong] = replies(send(wire, kind, **(item if "item" in kind else {})))
        assert wrong["error"]["message"] == f"{kind} needs a session with delegation responses"


def test_tools_of_one_answer_are_one_response():
    wire = opened(delegation=RESPONSES)
    assert but_sound(wire.send(said(0, Answering()))) == []
    created, begun, done = but_sound(wire.send(said(1, ToolCall("c1", "weather", '{"city": "Paris"}'))))
    about = {"type": "delegation", "id": "delegation_1", "target": "responses", "response_id": "resp_1"}
    assert created == {"type": "session.delegation.created", "delegation": about, "offset_ms": 160}
    assert begun["event"]["type"] == "response.created" and begun["event"]["response"]["id"] == "resp_1"
    assert done["event"] == {
        "type": "response.output_item.done",
        "sequence_number": 1,
        "output_index": 0,
        "item": {
            "id": "fc_resp_1_0",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "weather",
            "arguments": '{"city": "Paris"}',
        },
    }
    second, over = but_sound(wire.send(said(2, ToolCall("c2", "weather", "{}"), Answered())))
    assert second["event"]["item"]["call_id"] == "c2" and second["event"]["output_index"] == 1
    assert (over["event"]["type"], over["event"]["response"]["status"]) == ("response.completed", "completed")
    assert {event["delegation_id"] for event in (begun, done, second, over)} == {"delegation_1"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "18 degrees"}
    assert send(wire, "response.item.create", item=output) == [ToolResult("c1", "18 degrees")]
    parts = {**output, "output": [{"type": "input_text", "text": "18"}, {"type": "input_text", "text": "dry"}]}
    assert send(wire, "response.item.create", item=parts) == [ToolResult("c1", "18\ndry")]
    assert send(wire, "response.create") == [Respond()]
    user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And Rome?"}]}
    assert send(wire, "response.item.create", item=user) == [Remember("user", "And Rome?")]
    image = {"type": "item_reference", "id": "x"}
    [wrong] = replies(send(wire, "response.item.create", item=image))
    assert wrong["error"]["param"] == "item.type"


def test_the_calls_of_an_agent_that_tells_no_answers_are_whole_in_their_tick():
    wire = opened(delegation=RESPONSES)
    events = but_sound(wire.send(said(0, ToolCall("c1", "weather", "{}"))))
    assert [event.get("event", event)["type"] for event in events] == [
        "session.delegation.created",
        "response.created",
        "response.output_item.done",
        "response.completed",
    ]


def test_tools_and_backend_instructions_may_change():
    wire = opened(instructions="You are Moshi.", delegation=RESPONSES)
    new = {"type": "responses", "responses": {"tools": [], "tool_choice": {"type": "function", "name": "f"}}}
    got = send(wire, "session.update", session={"delegation": new}, event_id="u")
    assert notes(got) == [UseTools((), "f")]
    [updated] = replies(got)
    assert (updated["type"], updated["client_event_id"]) == ("session.updated", "u")
    assert updated["session"]["delegation"]["responses"] == RESPONSES["responses"] | new["responses"]
    new = {"type": "responses", "responses": {"instructions": "Be long."}}
    assert notes(send(wire, "session.update", session={"delegation": new})) == [Instruct("You are Moshi.\n\nBe long.")]
    again = send(wire, "session.update", session={"delegation": new, "triggers": []})
    assert notes(again) == [] and [event["type"] for event in replies(again)] == ["session.updated"]


CHANGE = "session.delegation.responses.tools"
MISTAKES = [
    ({"session": {"instructions": "x"}}, "immutable", "session.instructions", "cannot change"),
    ({"session": {"delegation": {"type": "client"}}}, "immutable", "session.delegation.type", "is responses"),
    ({"session": {"delegation": DECISIONS}}, "immutable", "session.delegation.type", "is responses"),
    ({"session": {"delegation": {**RESPONSES, "responses": {"tools": 3}}}}, "invalid_value", CHANGE, "list"),
    ({"type": "session.start", "session": {"model": "m"}}, "already_started", "type", "open another connection"),
    ({"type": "session.input_audio.append", "audio": "%%%"}, "invalid_value", "audio", "base64"),
    ({"type": "session.input_audio.append", "audio": "\u00e9"}, "invalid_value", "audio", "base64"),
    ({"type": "session.input_audio.append"}, "invalid_value", "audio", "required"),
    ({"type": "session.output_audio.fixture.play", "audio": ""}, "unsupported", "type", "not served here"),
    ({"type": "decision.create", "event_id": "e"}, "unsupported", "type", "not served here"),
    ({"type": "decision.item.delete", "item_id": "i"}, "unsupported", "type", "not served here"),
    ({"type": "session.commentary.append", "content": " "}, "invalid_value", "content", "empty"),
    ({"type": "nonsense", "event_id": "e"}, "unknown_event", "type", "known: session.start"),
    ({"type": ["x"]}, "unknown_event", "type", "known: session.start"),
    ([1], "invalid_json", None, "JSON object"),
]


@pytest.mark.parametrize(("event", "code", "param", "message"), MISTAKES)
def test_mistakes_are_told_and_the_session_goes_on(event, code, param, message):
    wire = opened(delegation=RESPONSES)
    items = wire.receive(json.dumps({"type": "session.update", **event} if isinstance(event, dict) else event))
    assert notes(items) == []
    [wrong] = replies(items)
    assert (wrong["error"]["code"], wrong["error"].get("param")) == (code, param)
    assert message in wrong["error"]["message"]
    assert wrong.get("client_event_id") == (event.get("event_id") if isinstance(event, dict) else None)
    assert [event["type"] for event in replies(send(wire, "session.input_audio.mute"))] == ["session.input_audio.muted"]


@pytest.mark.parametrize(
    "message",
    [
        "{",
        b"\xff",
        '{"type":"session.input_audio.append","audio":"\\ud800"}',
        '{"type":"session.update","session":{"x":NaN}}',
        '{"type":"session.update","session":{"x":1e999}}',
        "[" * 100_000,
        '{"type":"session.update","session":{"delegation":{"type":"client","x":' + "[" * 400 + "]" * 400 + "}}}",
    ],
)
def test_what_is_no_json_is_told_and_the_session_goes_on(message):
    wire = opened()
    [wrong] = replies(wire.receive(message))
    assert wrong["type"] == "error"
    assert send(wire, "session.input_audio.append", audio=base64.b64encode(bytes(3840)).decode())[0].t == 0


def test_a_frame_without_sound_cannot_be_sent():
    with pytest.raises(ValueError, match="carries pcm, but frame 0 holds none"):
        opened().send(Frame(0, codes=np.array([1])))


def test_the_calling_side():
    caller, wire = LiveCaller("moshi", {"instructions": "Be kind.", "delegation": RESPONSES}), LiveWire()
    [start] = caller.hello()
    opening, *_ = wire.receive(start)
    assert isinstance(opening, Open) and opening.agent == "moshi"
    [ready] = caller.receive(wire.hello(CAN)[0])
    assert isinstance(ready, Ready) and ready.facts["instructions"] == "Be kind."
    ramp = np.linspace(-1, 1, FRAME_SAMPLES, dtype=np.float32)
    [heard] = wire.receive(caller.say(Frame(0, ramp))[0])
    assert heard.t == 0 and np.abs(heard.pcm - ramp).max() <= 1 / 32768
    events = (Answering(), Transcript("What?"), ToolCall("c", "weather", "{}"))
    frame = Frame(0, ramp, text=" Hi", events=events)
    items = [item for message in wire.send(frame) for item in caller.receive(message)]
    assert items[:-1] == [Aside(0, events=(Transcript("What?"),)), Aside(0, events=(events[2],)), Aside(0, " Hi")]
    assert items[-1].t == 0 and np.abs(items[-1].pcm - ramp)[240:].max() <= 1 / 32768
    assert caller.receive(LiveWire.refuse("full")[0]) == [Refused("full")]
    assert caller.receive(wire.declined(Say("x"), "mute")[0]) == [Refused("mute")]
    assert caller.receive('{"type":"session.closed"}') == caller.receive('{"type":"news"}') == []
    with pytest.raises(ValueError, match="carries pcm"):
        caller.say(Frame(1, codes=np.array([1])))


def _responses(*tools):
    return {"type": "responses", "responses": {"model": "gpt-5", "tools": [*tools]}}


def test_settings_of_the_clients_own_do_not_add_up():
    wire = opened(delegation={"type": "responses", "responses": {"model": "m"}})
    for n in range(3):
        asked = {"type": "responses", f"mine{n}": 1, "responses": {f"mine{n}": "x", "instructions": f"{n}"}}
        [updated] = replies(send(wire, "session.update", session={"delegation": asked}))
    assert updated["session"]["delegation"]["responses"] == {"model": "m", "instructions": "2"}
    assert not any(name.startswith("mine") for name in updated["session"]["delegation"])
