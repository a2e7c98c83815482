"""OpenAI Realtime, message by message: a turn by voice, an interruption, push to talk, text, a tool."""

import base64
import json

import numpy as np
import pytest

from duplex.events import Answered, Answering, Failed, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame
from duplex.notes import (
    Commit,
    Discard,
    Heard,
    Hush,
    Image,
    Instruct,
    Remember,
    Respond,
    Rewrite,
    Tool,
    ToolResult,
    TurnTaking,
    UseTools,
)
from duplex.protocols.g711 import decode_alaw, decode_ulaw, encode_ulaw
from duplex.protocols.realtime.caller import RealtimeCaller
from duplex.protocols.realtime.conversation import MAX_ITEM_BYTES, MAX_ITEMS
from duplex.protocols.realtime.wire import RealtimeWire
from duplex.protocols.realtime.wish import wish
from duplex.protocols.wire import Aside, BadMessage, Hushed, Ready, Refused, Sound
from duplex.session import Capabilities
from tests.protocols.realtime_talk import CAN, Talk, brief, kinds, tone

USER = '{"id":"item_1","object":"realtime.item","status":"completed","type":"message","role":"user","content":[{"type":"input_audio","transcript":null}]}'  # noqa: E501
BEGUN = (
    '{"id":"item_2","object":"realtime.item","status":"in_progress","type":"message","role":"assistant","content":[]}'
)
DONE = '{"id":"item_2","object":"realtime.item","status":"completed","type":"message","role":"assistant","content":[{"type":"output_audio","transcript":"It is noon."}]}'  # noqa: E501
OUTPUT = '"output_modalities":["audio"],"audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":null}},"max_output_tokens":"inf","metadata":null'  # noqa: E501
PLACE = '"response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0'
VOICE_TURN = f"""\
{{"type":"input_audio_buffer.speech_started","item_id":"item_1","audio_start_ms":100}}
{{"type":"input_audio_buffer.speech_stopped","item_id":"item_1","audio_end_ms":1100}}
{{"type":"input_audio_buffer.committed","item_id":"item_1","previous_item_id":null}}
{{"type":"conversation.item.added","item":{USER},"previous_item_id":null}}
{{"type":"conversation.item.done","item":{USER},"previous_item_id":null}}
{{"type":"response.created","response":{{"id":"resp_1","object":"realtime.response","status":"in_progress","status_details":null,"output":[],{OUTPUT},"usage":null}}}}
{{"type":"conversation.item.input_audio_transcription.delta","item_id":"item_1","content_index":0,"delta":"what time is it"}}
{{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_1","content_index":0,"transcript":"what time is it","usage":{{"type":"duration","seconds":1.0}}}}
{{"type":"response.output_item.added","response_id":"resp_1","output_index":0,"item":{BEGUN}}}
{{"type":"conversation.item.added","item":{BEGUN},"previous_item_id":"item_1"}}
{{"type":"response.content_part.added",{PLACE},"part":{{"type":"audio","transcript":""}}}}
{{"type":"response.output_audio_transcript.delta",{PLACE},"delta":"It is"}}
{{"type":"response.output_audio.delta",{PLACE},"delta":"3840 bytes"}}
{{"type":"response.output_audio_transcript.delta",{PLACE},"delta":" noon."}}
{{"type":"response.output_audio.delta",{PLACE},"delta":"3840 bytes"}}
{{"type":"response.output_audio.done",{PLACE}}}
{{"type":"response.output_audio_transcript.done",{PLACE},"transcript":"It is noon."}}
{{"type":"response.content_part.done",{PLACE},"part":{{"type":"audio","transcript":"It is noon."}}}}
{{"type":"response.output_item.done","response_id":"resp_1","output_index":0,"item":{DONE}}}
{{"type":"conversation.item.done","item":{DONE}}}
{{"type":"response.done","response":{{"id":"resp_1","object":"realtime.response","status":"completed","status_details":{{"type":"completed"}},"output":[{DONE}],{OUTPUT},"usage":{{"total_tokens":123,"input_tokens":104,"output_tokens":19,"input_token_details":{{"audio_tokens":104,"text_tokens":0,"image_tokens":0,"cached_tokens":0}},"output_token_details":{{"audio_tokens":16,"text_tokens":3}}}}}}}}
"""  # noqa: E501
WORDS = {"audio": {"input": {"transcription": {"model": "any"}}}}
HANDS = {"audio": {"input": {"turn_detection": None}}}
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(8)


def answering(talk: Talk, text: str = " It is noon.", ticks: int = 2) -> str:
    """An answer under way, `ticks` of which have been sent; returns its item's id."""
    talk.say(Answering())
    events = talk.say(text=text, level=0.25)
    for _ in range(ticks - 1):
        talk.say(level=0.25)
    return events[0]["item"]["id"]


def user(text: str, **more) -> dict:
    return {"item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **more}}


# --- by voice ---------------------------------------------------------------------------------------------------------


def test_the_session_as_it_begins():
    assert Talk().created == {
        "type": "session.created",
        "event_id": "event_1",
        "session": {
            "id": "sess_1",
            "type": "realtime",
            "object": "realtime.session",
            "model": "moshi",
            "output_modalities": ["audio"],
            "instructions": "",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.5,
                        "prefix_padding_ms": 300,
                        "silence_duration_ms": 500,
                        "idle_timeout_ms": None,
                        "create_response": True,
                        "interrupt_response": True,
                    },
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": None, "speed": 1.0},
            },
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
        },
    }
    opened = wish({"model": "gpt-realtime"})
    assert opened.agent == "gpt-realtime" and wish({"model": "x", "agent": "echo"}).agent == "echo"
    assert opened.config.turns == TurnTaking(threshold=0.5, stop_ms=500) and opened.config.transcribe


def test_a_turn_by_voice_golden():
    talk = Talk(**WORDS)
    said = [
        *talk.say(SpeechStarted(2_400)),
        *talk.say(),
        *talk.say(SpeechStopped(26_400), Answering()),
        *talk.say(Transcript("what time is it")),
        *talk.say(),  # nothing has sounded yet: not sent
        *talk.say(text=" It is"),
        *talk.say(Answered(), text=" noon.", level=0.25),
        *talk.say(level=0.25),  # belongs to no answer
    ]
    assert "\n".join(map(brief, said)) + "\n" == VOICE_TURN


def test_the_sound_is_the_agents_own():
    talk = Talk()
    talk.say(Answering())
    delta = base64.b64decode(talk.say(level=0.25)[-1]["delta"])
    assert np.array_equal(np.frombuffer(delta, "<i2"), np.full(FRAME_SAMPLES, 8192))


def test_transcripts_come_only_when_asked_for():
    talk = Talk()
    talk.say(SpeechStarted(0))
    talk.say(SpeechStopped(9_600))
    assert talk.say(Transcript("hello")) == []
    talk.ask("session.update", session=WORDS)
    assert kinds(talk.say(Transcript("there"))) == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    [failed] = talk.say(Failed("stt", "out of memory"))
    assert failed["type"].endswith(".failed") and failed["error"]["message"] == "out of memory"


def test_an_interruption_begins_with_speech_started():
    talk = Talk()
    answering(talk)
    said = talk.say(SpeechStarted(9_600), Interrupted("It is"), Answered("interrupted"), level=0.25)
    assert kinds(said) == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert said[-3]["item"]["status"] == "incomplete"
    response = said[-1]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert talk.say(level=0.25) == [], "what still sounds is not sent"


def test_speech_that_does_not_interrupt_leaves_the_answer_alone():
    talk = Talk()
    answering(talk)
    assert kinds(talk.say(SpeechStarted(9_600), level=0.25)) == [
        "input_audio_buffer.speech_started",
        "response.output_audio.delta",
    ]


def test_a_new_answer_ends_the_one_before():
    talk = Talk()
    answering(talk)
    said = talk.say(Answering())
    assert kinds(said)[-2:] == ["response.done", "response.created"]
    assert said[-2]["response"]["status"] == "completed"


def test_an_answer_that_fails_says_why():
    talk = Talk()
    talk.say(Answering())
    [done] = talk.say(Failed("llm", "no such model"), Answered("failed"))
    assert done["response"]["status"] == "failed" and done["response"]["output"] == []
    error = {"type": "server_error", "code": "llm", "message": "no such model"}
    assert done["response"]["status_details"] == {"type": "failed", "error": error}


def test_where_the_user_spoke_is_told_in_their_own_sound():
    talk = Talk()
    talk.append(tone())
    assert talk.wire.lull().t == 1  # the client paused: this silence is ours
    assert talk.wire.lull().t == 2
    assert [frame.t for frame in talk.append(np.tile(tone(), 2))] == [3, 4]
    assert talk.say(SpeechStarted(3 * FRAME_SAMPLES + 2_400))[0]["audio_start_ms"] == 180
    assert talk.say(SpeechStopped(4 * FRAME_SAMPLES))[0]["audio_end_ms"] == 160


# --- truncation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_ms", "told_ms", "heard"),
    [(0, 0, ""), (80, 80, "One"), (100, 100, "One two"), (999_999, 240, "One two three"), (-5, 0, "")],
)
def test_truncation_is_clamped_and_tells_what_was_heard(asked_ms, told_ms, heard):
    talk = Talk()
    talk.say(Answering())
    item = talk.say(text=" One", level=0.25)[0]["item"]["id"]
    talk.say(text=" two", level=0.25)
    talk.say(text=" three", level=0.25)
    talk.say(SpeechStarted(0), Answered("interrupted"))
    truncate = {"item_id": item, "content_index": 0, "audio_end_ms": asked_ms}
    [told], notes = talk.ask("conversation.item.truncate", **truncate)
    assert told["type"] == "conversation.item.truncated" and told["audio_end_ms"] == told_ms
    assert notes == [Heard(heard)]
    [retrieved], _ = talk.ask("conversation.item.retrieve", item_id=item)
    assert retrieved["item"]["content"] == [{"type": "output_audio", "transcript": heard}]


def test_truncation_of_what_is_not_there_is_acknowledged_too():
    talk = Talk()
    talk.ask("conversation.item.create", **user("hi", id="typed"))
    for item in ("unheard-of", "typed"):
        [told], notes = talk.ask("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=700)
        assert (told["type"], told["audio_end_ms"], notes) == ("conversation.item.truncated", 700, [])
    talk.say(Answering())
    assert talk.ask("conversation.item.retrieve", item_id="typed")[0][0]["item"]["content"][0]["text"] == "hi"


# --- push to talk -----------------------------------------------------------------------------------------------------


def test_push_to_talk():
    talk = Talk()
    [updated], notes = talk.ask("session.update", session=HANDS)
    assert updated["session"]["audio"]["input"]["turn_detection"] is None and notes == [TurnTaking(detect=False)]
    talk.append(tone()[:-20])
    replies, items = talk.ask("input_audio_buffer.commit")
    assert kinds(replies) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert [type(item) for item in items] == [Frame, Commit] and items[0].t == 0
    assert talk.ask("response.create") == ([], [Respond()])
    assert kinds(talk.say(Transcript("hi"), Answering())) == ["response.created"]
    done = talk.say(Answered())[-1]
    assert done["response"]["usage"]["input_token_details"]["audio_tokens"] == 8
    assert talk.say(SpeechStarted(0), SpeechStopped(9_600)) == [], "nobody asked for turns"


def test_an_empty_commit_is_an_error_that_ends_nothing():
    for talk in (Talk(), Talk(**HANDS)):
        [error], notes = talk.ask("input_audio_buffer.commit", event_id="mine")
        assert error["error"]["code"] == "input_audio_buffer_commit_empty" and error["error"]["event_id"] == "mine"
        assert notes == []


def test_a_commit_ends_the_turn_that_was_heard_to_begin():
    talk = Talk()
    [started] = talk.say(SpeechStarted(0))
    talk.append(tone())
    replies, notes = talk.ask("input_audio_buffer.commit")
    assert kinds(replies)[:2] == ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
    assert replies[0]["audio_end_ms"] == 80 and {r["item_id"] for r in (*replies[:2], started)} == {"item_1"}
    assert notes == [Commit()]
    assert talk.say(SpeechStopped(1_920)) == [], "once is enough"


def test_what_is_cleared_was_never_said():
    talk = Talk(**HANDS)
    assert talk.append(tone()[:1_000]) == []
    replies, notes = talk.ask("input_audio_buffer.clear")
    assert kinds(replies) == ["input_audio_buffer.cleared"] and notes == [Discard()]
    [frame] = talk.append(tone(0.5))
    assert np.array_equal(frame.pcm, tone(0.5))


# --- text -------------------------------------------------------------------------------------------------------------


def test_text_in_and_out():
    talk = Talk(output_modalities=["text"])
    replies, notes = talk.ask("conversation.item.create", **user("What time is it?", id="q"))
    assert kinds(replies) == ["conversation.item.added", "conversation.item.done"]
    assert replies[0]["previous_item_id"] is None and replies[0]["item"]["id"] == "q"
    assert notes == [Remember("user", "What time is it?")]
    asked = {"instructions": "Be brief.", "metadata": {"client_event_id": "7"}, "max_output_tokens": 100}
    assert talk.ask("response.create", response=asked) == ([], [Respond("Be brief.")])
    [created] = talk.say(Answering())
    assert created["response"]["metadata"] == {"client_event_id": "7"}
    assert (created["response"]["output_modalities"], created["response"]["max_output_tokens"]) == (["text"], 100)
    assert talk.say(level=0.25) == [], "no sound"
    said = [*talk.say(text=" Noon,", level=0.25), *talk.say(text=" sir.", level=0.25), *talk.say(Answered())]
    assert kinds(said) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert [event["delta"] for event in said[3:5]] == ["Noon,", " sir."] and said[5]["text"] == "Noon, sir."
    assert said[2]["part"] == {"type": "text", "text": ""}
    assert said[1]["previous_item_id"] == "q"
    response = said[-1]["response"]
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Noon, sir."}]
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (4, 2)


def test_one_answer_may_be_text_though_the_session_speaks():
    talk = Talk()
    talk.ask("response.create", response={"output_modalities": ["text"]})
    assert talk.say(Answering())[0]["response"]["output_modalities"] == ["text"]
    talk.say(Answered())
    assert talk.say(Answering())[0]["response"]["output_modalities"] == ["audio"]


@pytest.mark.parametrize(
    ("item", "notes", "content"),
    [
        (
            {"role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
            [Remember("system", "Be kind.")],
            [{"type": "input_text", "text": "Be kind."}],
        ),
        (
            {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
            [Remember("assistant", "Hello.")],
            [{"type": "output_text", "text": "Hello."}],
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "audio": "AAAA", "transcript": "Hi."}]},
            [Remember("user", "Hi.")],
            [{"type": "input_audio", "transcript": "Hi."}],
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"},
                    {"type": "input_text", "text": "What is this?"},
                ],
            },
            [Image(PIXEL, "image/png"), Remember("user", "What is this?")],
            [{"type": "input_image", "detail": "auto"}, {"type": "input_text", "text": "What is this?"}],
        ),
    ],
)
def test_items_that_a_client_brings(item, notes, content):
    replies, told = Talk().ask("conversation.item.create", item={"type": "message", **item})
    assert told == notes and replies[0]["item"]["content"] == content


def test_an_item_in_the_middle_is_a_new_conversation_for_the_agent():
    talk = Talk()
    talk.ask("conversation.item.create", **user("one", id="1"))
    talk.ask("conversation.item.create", **user("three", id="3"))
    replies, notes = talk.ask("conversation.item.create", **user("two"), previous_item_id="1")
    assert replies[0]["previous_item_id"] == "1"
    assert notes == [Rewrite(tuple(Remember("user", word) for word in ("one", "two", "three")))]
    replies, notes = talk.ask("conversation.item.create", **user("zero"), previous_item_id="root")
    assert replies[0]["previous_item_id"] is None and notes[0].lines[0] == Remember("user", "zero")
    [error], _ = talk.ask("conversation.item.create", **user("one", id="1"), event_id="e")
    assert (error["error"]["code"], error["error"]["event_id"]) == ("item_create_duplicate_item_id", "e")


def test_items_are_found_and_removed():
    talk = Talk()
    talk.ask("conversation.item.create", **user("one", id="1"))
    talk.ask("conversation.item.create", **user("two", id="2"))
    assert talk.ask("conversation.item.retrieve", item_id="1")[0][0]["item"]["content"][0]["text"] == "one"
    [deleted], notes = talk.ask("conversation.item.delete", item_id="1")
    assert deleted["item_id"] == "1" and notes == [Rewrite((Remember("user", "two"),))]
    for what, code in (("retrieve", "item_retrieve_invalid_item_id"), ("delete", "item_delete_invalid_item_id")):
        [error], notes = talk.ask(f"conversation.item.{what}", item_id="1", event_id="rci_1")
        assert (error["error"]["code"], error["error"]["event_id"], notes) == (code, "rci_1", [])
    item = answering(talk)
    assert talk.ask("conversation.item.delete", item_id=item)[1] == [Heard("")], "an answer nobody heard"


# --- answers on request -----------------------------------------------------------------------------------------------


def test_a_second_answer_is_refused_and_the_first_goes_on():
    talk = Talk()
    talk.ask("response.create")
    for _ in range(2):
        [error], notes = talk.ask("response.create")
        assert error["error"]["code"] == "conversation_already_has_active_response" and notes == []
        talk.say(Answering())
    assert kinds(talk.say(level=0.25))[-1] == "response.output_audio.delta"


def test_an_agent_that_never_began_may_be_asked_again():
    talk = Talk()
    talk.ask("response.create")
    for _ in range(30):
        talk.say()
    assert talk.ask("response.create") == ([], [Respond()])


def test_cancelling():
    talk = Talk()
    [error], notes = talk.ask("response.cancel", event_id="c")
    assert error["error"]["code"] == "response_cancel_not_active" and notes == []
    assert error["error"]["message"].startswith("Cancellation failed")
    answering(talk)
    assert talk.ask("response.cancel", response_id="another")[0][0]["error"]["code"] == "response_cancel_not_active"
    assert talk.ask("response.cancel", response_id="resp_1") == ([], [Hush()])
    done = talk.say(Answered("cancelled"))[-1]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    answering(talk)
    [*_, done] = talk.declined(Hush(), "it cannot stop")
    assert done["response"]["status"] == "cancelled"
    assert talk.say(level=0.25) == [] and talk.say(Answered()) == [], "silenced here, then"


def test_an_agent_that_does_not_answer_on_request():
    talk = Talk()
    _, [note] = talk.ask("response.create", response={"metadata": {"k": "v"}})
    created, done = talk.declined(note, "native speaks when it likes")
    assert (created["type"], created["response"]["metadata"]) == ("response.created", {"k": "v"})
    assert done["response"]["status_details"]["error"]["message"] == "native speaks when it likes"


# --- tools ------------------------------------------------------------------------------------------------------------

WEATHER = {"type": "function", "name": "weather", "description": "The weather.", "parameters": {"type": "object"}}
CALL = '{"id":"item_1","object":"realtime.item","status":"%s","type":"function_call","call_id":"c1","name":"weather","arguments":"%s"}'  # noqa: E501
ARGUMENTS = '{\\"city\\":\\"Rome\\"}'
CALLED = f"""\
{{"type":"response.output_item.added","response_id":"resp_1","output_index":0,"item":{CALL % ("in_progress", "")}}}
{{"type":"conversation.item.added","item":{CALL % ("in_progress", "")},"previous_item_id":null}}
{{"type":"response.function_call_arguments.delta","response_id":"resp_1","item_id":"item_1","output_index":0,"call_id":"c1","delta":"{ARGUMENTS}"}}
{{"type":"response.function_call_arguments.done","response_id":"resp_1","item_id":"item_1","output_index":0,"call_id":"c1","name":"weather","arguments":"{ARGUMENTS}"}}
{{"type":"response.output_item.done","response_id":"resp_1","output_index":0,"item":{CALL % ("completed", ARGUMENTS)}}}
{{"type":"conversation.item.done","item":{CALL % ("completed", ARGUMENTS)}}}
"""


def test_a_tool_call_golden_and_its_result():
    talk = Talk()
    [updated], notes = talk.ask("session.update", session={"tools": [WEATHER], "tool_choice": "required"})
    assert notes == [UseTools((Tool("weather", "The weather.", {"type": "object"}),), "required")]
    assert updated["session"]["tools"] == [WEATHER]
    talk.say(Answering())
    *called, done = talk.say(ToolCall("c1", "weather", '{"city":"Rome"}'), Answered())
    assert "\n".join(map(brief, called)) + "\n" == CALLED
    assert done["response"]["status"] == "completed"
    assert done["response"]["output"] == [json.loads(CALL % ("completed", ARGUMENTS))]
    result = {"type": "function_call_output", "call_id": "c1", "output": '"sunny"'}
    replies, notes = talk.ask("conversation.item.create", item={"id": "r1", **result})
    assert kinds(replies)[0] == "conversation.item.added" and replies[0]["item"]["id"] == "r1"
    assert notes == [ToolResult("c1", '"sunny"')]
    assert talk.ask("response.create") == ([], [Respond()])


def test_a_call_in_the_middle_of_an_answer():
    talk = Talk()
    answering(talk)
    called = talk.say(ToolCall("c1", "weather", "{}"), level=0.25)
    assert called[0]["output_index"] == 1 and kinds(called)[-1] == "response.output_audio.delta"
    output = talk.say(Answered())[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]


def test_calls_of_an_earlier_session_are_history():
    talk = Talk()
    call = {"type": "function_call", "call_id": "c0", "name": "weather", "arguments": "{}"}
    assert talk.ask("conversation.item.create", item=call)[1] == [
        Remember("system", "The tool weather was called with {}")
    ]
    result = {"type": "function_call_output", "call_id": "c0", "output": "sunny"}
    assert talk.ask("conversation.item.create", item=result)[1] == [Remember("system", "The tool has answered: sunny")]


# --- G.711 ------------------------------------------------------------------------------------------------------------


def test_the_telephones_formats_both_ways():
    forms = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}
    talk = Talk(audio=forms)
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000).astype(np.float32)
    items = talk.ask("input_audio_buffer.append", audio=base64.b64encode(encode_ulaw(wave)).decode())[1]
    heard = np.concatenate([frame.pcm for frame in items])
    assert len(items) == 12, "a second is 12.5 ticks"
    loudest = np.abs(np.fft.rfft(heard)).argmax() * SAMPLE_RATE / len(heard)
    assert abs(loudest - 440) < 2 and abs(np.abs(heard).max() - 0.3) < 0.02
    talk.say(Answering())
    deltas = [base64.b64decode(talk.say(level=0.25)[-1]["delta"]) for _ in range(3)]
    assert [len(delta) for delta in deltas] == [640, 640, 640]
    assert abs(decode_alaw(deltas[-1])[-1] - 0.25) < 0.01 and abs(decode_ulaw(b"\xff")[0]) < 1e-6


# --- the calling side -------------------------------------------------------------------------------------------------


def test_the_caller_understands_the_wire():
    wire, caller = RealtimeWire("moshi"), RealtimeCaller({"audio": {"input": {"transcription": {}}}})
    [ready] = caller.receive(wire.hello(CAN)[0])
    assert isinstance(ready, Ready) and ready.facts["model"] == "moshi"
    update, append = caller.say(Frame(0, tone()))
    assert json.loads(update)["type"] == "session.update"
    wire.receive(update)
    [frame] = wire.receive(append)
    assert np.array_equal(frame.pcm, tone())
    said = [
        Frame(0, tone(0), events=(SpeechStarted(2_400),)),
        Frame(1, tone(0), events=(SpeechStopped(4_800), Transcript("hi"), Answering())),
        Frame(2, tone(), text=" Hello"),
        Frame(3, tone(0), events=(ToolCall("c", "f", "{}"), SpeechStarted(9_600), Answered("interrupted"))),
    ]
    told = [item for frame in said for message in wire.send(frame) for item in caller.receive(message)]
    sounds = [item for item in told if isinstance(item, Sound)]
    assert len(sounds) == 1 and np.array_equal(sounds[0].pcm, tone())
    assert [item for item in told if not isinstance(item, Sound)] == [
        Hushed(),
        Aside(0, events=(SpeechStarted(2_400),)),
        Aside(0, events=(SpeechStopped(4_800),)),
        Aside(0, events=(Transcript("hi"),)),
        Aside(0, events=(Answering(),)),
        Aside(0, "Hello"),
        Aside(0, events=(ToolCall("c", "f", "{}"),)),
        Hushed(),
        Aside(0, events=(SpeechStarted(9_600),)),
        Aside(0, events=(Answered("interrupted"),)),
    ]
    assert caller.receive(RealtimeWire.refuse("full")[0]) == [Refused("full")]


@pytest.mark.parametrize(
    "message", ["[]", "{", '{"type":"error"}', '{"type":"response.output_audio.delta","delta":"?"}', b"\xff"]
)
def test_the_caller_refuses_what_is_no_realtime(message):
    with pytest.raises(BadMessage):
        RealtimeCaller().receive(message)
    with pytest.raises(ValueError, match="carries pcm"):
        RealtimeCaller().say(Frame(0, codes=np.zeros(8, np.int64)))


def test_an_agent_that_has_codes_counts_them():
    talk = Talk(Capabilities("native", codebooks=4))
    answering(talk, ticks=5)
    done = talk.say(Answered("cancelled"))[-1]["response"]
    assert done["usage"]["output_token_details"]["audio_tokens"] == 5 * 4


def test_what_is_told_of_the_persona_reaches_the_agent():
    assert Talk().ask("session.update", session={"instructions": "a pirate"})[1] == [Instruct("a pirate")]


# --- how much a client may add ----------------------------------------------------------------------------------------


def typed(text: str, **more) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **more}


def test_a_client_adds_no_more_than_so_many_items_until_it_deletes_one():
    talk = Talk(audio={"input": {"turn_detection": None}})
    for n in range(MAX_ITEMS):
        talk.wire.receive(json.dumps({"type": "conversation.item.create", "item": typed("hi", id=f"i{n}")}))
    [error], notes = talk.ask("conversation.item.create", item=typed("hi"), event_id="e")
    assert error["error"]["code"] == "conversation_full" and error["error"]["event_id"] == "e" and not notes
    assert error["error"]["message"] == f"a conversation may hold {MAX_ITEMS} items: delete some"
    talk.append(tone())
    [error], notes = talk.ask("input_audio_buffer.commit")
    assert error["error"]["code"] == "conversation_full" and not notes
    talk.ask("conversation.item.delete", item_id="i0")
    assert kinds(talk.ask("input_audio_buffer.commit")[0])[0] == "input_audio_buffer.committed"
    assert kinds(talk.say(Answering(), text="well", level=0.5))[0] == "response.created", "the agent is not held back"


def test_a_clients_items_may_not_be_endless_either():
    talk = Talk()
    half = MAX_ITEM_BYTES // 2
    assert kinds(talk.ask("conversation.item.create", item=typed("a" * half, id="a"))[0])[0].endswith("added")
    for item in (typed("a" * half), typed("", id="a" * half)):
        [error], _ = talk.ask("conversation.item.create", item=item)
        assert error["error"]["code"] == "conversation_full" and str(MAX_ITEM_BYTES) in error["error"]["message"]
    talk.ask("conversation.item.delete", item_id="a")
    assert kinds(talk.ask("conversation.item.create", item=typed("a" * half))[0])[0].endswith("added")


def test_settings_of_the_clients_own_do_not_add_up():
    talk = Talk()
    for n in range(3):
        heard = {"transcription": {"model": "whisper-1", f"mine{n}": "x"}}
        [updated], _ = talk.ask("session.update", session={"audio": {"input": heard}})
    assert updated["session"]["audio"]["input"]["transcription"] == {"model": "whisper-1"}
