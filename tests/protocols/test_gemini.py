"""Gemini Live: literal messages both ways, what a setup asks for, and the order of what is told of a turn."""

import base64
import json
from itertools import pairwise

import numpy as np
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.events import (
    Answered,
    Answering,
    Failed,
    Interrupted,
    Made,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Transcript,
)
from duplex.frame import FRAME_SAMPLES, Frame, silence
from duplex.notes import (
    Commit,
    Discard,
    Hush,
    Image,
    Instruct,
    Remember,
    Respond,
    Tool,
    ToolResult,
    TurnTaking,
    TypedText,
    UseTools,
    UseVoice,
)
from duplex.protocols.gemini.calls import MAX_PIECES, MAX_RESULT
from duplex.protocols.gemini.wire import GeminiWire
from duplex.protocols.wire import BadMessage, Open, Reply, TooMuchSound
from duplex.session import Capabilities, SessionConfig

CAN = Capabilities("puppet", codebooks=8)
LOUD = np.full(FRAME_SAMPLES, 0.5, np.float32)
LOUD_B64 = base64.b64encode(b"\x00\x40" * FRAME_SAMPLES).decode()
SOUND = {
    "serverContent": {
        "modelTurn": {
            "parts": [{"inlineData": {"data": LOUD_B64, "mimeType": "audio/pcm;rate=24000"}}],
            "role": "model",
        }
    }
}
GENERATED = {"serverContent": {"generationComplete": True}}
INTERRUPTED = {"serverContent": {"interrupted": True}}


def opened(**setup) -> GeminiWire:
    wire = GeminiWire()
    wire.receive(json.dumps({"setup": {"model": "models/m", **setup}}))
    wire.hello(CAN)
    return wire


def asked(**setup) -> SessionConfig:
    [wish, *_] = GeminiWire().receive(json.dumps({"setup": setup}))
    assert isinstance(wish, Open)
    return wish.config


def sent(messages: list) -> list[dict]:
    """As JSON, each one something that Google's SDK knows."""
    values = [json.loads(message) for message in messages]
    for value in values:
        types.LiveServerMessage.model_validate(value)
    return values


def told(wire: GeminiWire, *events, pcm=None, text="") -> list[dict]:
    return sent(wire.send(Frame(0, silence(0).pcm if pcm is None else pcm, text=text, events=events)))


def closed(messages: list[dict]) -> bool:
    """Whether the last one, and no other, ends the turn."""
    ends = [bool(message.get("serverContent", {}).get("turnComplete")) for message in messages]
    return ends[-1:] == [True] and sum(ends) == 1


# --- setup ------------------------------------------------------------------------------------------------------------


def test_setup_golden():
    wire = GeminiWire()
    message = (
        '{"setup":{"model":"models/native","generationConfig":{"responseModalities":["AUDIO"],"speechConfig":'
        '{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Puck"}},"languageCode":"en-US"}},"systemInstruction":'
        '{"parts":[{"text":"Be brief."},{"text":"Be kind."}],"role":"user"},"realtimeInputConfig":'
        '{"automatic_activity_detection":{"silence_duration_ms":300,"prefixPaddingMs":20},"activityHandling":'
        '"NO_INTERRUPTION"},"inputAudioTranscription":{},"contextWindowCompression":{"slidingWindow":{}}}}'
    )
    turns = TurnTaking(interrupt=False, stop_ms=300.0)
    config = SessionConfig(persona="Be brief.\nBe kind.", language="en", turns=turns, transcribe=True)
    assert wire.receive(message) == [Open("native", config), UseVoice("Puck")]
    assert wire.hello(CAN) == ['{"setupComplete":{}}']
    assert wire.declined(UseVoice("Puck"), "no voice Puck") == []


def test_both_spellings_mean_the_same_and_the_clients_own_names_stay():
    function = {"name": "set_lamp", "description": "d", "parameters": {"type": "OBJECT", "properties": {"lampId": {}}}}
    camel = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
    snake = {"realtime_input_config": {"automatic_activity_detection": {"disabled": True}}}
    one = asked(**camel, tools=[{"functionDeclarations": [function]}])
    other = asked(**snake, tools=[{"function_declarations": [function]}])
    tool = Tool("set_lamp", "d", {"type": "object", "properties": {"lampId": {}}})
    assert one == other == SessionConfig(turns=TurnTaking(detect=False), tools=(tool,))


def test_googles_schema_becomes_json_schema():
    schema = {
        "type": "OBJECT",
        "required": ["any_of"],
        "propertyOrdering": ["any_of"],
        "properties": {
            "any_of": {"any_of": [{"type": "STRING", "nullable": True}, {"type": "INTEGER"}]},
            "list": {"type": "ARRAY", "minItems": "2", "items": {"type": "STRING", "max_length": 3}},
        },
    }
    [tool] = asked(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}]).tools
    assert tool.parameters == {
        "type": "object",
        "required": ["any_of"],
        "properties": {
            "any_of": {"anyOf": [{"type": ["string", "null"]}, {"type": "integer"}]},
            "list": {"type": "array", "minItems": 2, "items": {"type": "string", "maxLength": 3}},
        },
    }
    plain = {"type": "object", "properties": {"someKey": {"type": "string"}}}
    [tool] = asked(tools={"functionDeclarations": {"name": "f", "parametersJsonSchema": plain}}).tools
    assert tool.parameters == plain


@pytest.mark.parametrize(
    ("detection", "turns"),
    [
        ({}, TurnTaking()),
        ({"startOfSpeechSensitivity": "START_SENSITIVITY_HIGH"}, TurnTaking(threshold=0.35)),
        ({"endOfSpeechSensitivity": "END_SENSITIVITY_LOW"}, TurnTaking(stop_ms=1000.0)),
        ({"endOfSpeechSensitivity": "END_SENSITIVITY_LOW", "silenceDurationMs": 0}, TurnTaking(stop_ms=0.0)),
        ({"disabled": True}, TurnTaking(detect=False)),
    ],
)
def test_turn_taking(detection, turns):
    assert asked(realtimeInputConfig={"automaticActivityDetection": detection}).turns == turns


def test_a_session_is_not_resumable_and_says_so():
    wire = GeminiWire()
    wire.receive('{"setup":{"sessionResumption":{}}}')
    assert wire.hello(CAN) == ['{"setupComplete":{}}', '{"sessionResumptionUpdate":{"resumable":false}}']


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "must be JSON"),
        ("[]", "must be a JSON object"),
        (b"\xff", "must be JSON"),
        ('{"setup":{"a":NaN}}', "NaN is not a number that JSON can hold"),
        ('{"realtimeInput":{}}', "first message must be a setup"),
        ('{"setup":[]}', "setup must be an object"),
        ('{"setup":{"model":3}}', "model must be a string"),
        ('{"setup":{"systemInstruction":"\\ud800"}}', "whole characters"),
        ('{"setup":{"sessionResumption":{"handle":"h"}}}', "sessions cannot be resumed here"),
        ('{"setup":{"generationConfig":{"responseModalities":["IMAGE"]}}}', "must be a list of AUDIO or TEXT"),
        ('{"setup":{"tools":[{"googleSearch":{}}]}}', "no tool 'google_search'; it takes functionDeclarations"),
        ('{"setup":{"tools":[{"functionDeclarations":[{}]}]}}', "needs a name"),
        (
            '{"setup":{"realtimeInputConfig":{"automaticActivityDetection":{"silenceDurationMs":-1}}}}',
            "silenceDurationMs must be 0 to 60000, got -1",
        ),
        ('{"setup":{"realtimeInputConfig":{"activityHandling":"X"}}}', "activityHandling must be START_OF_ACTIVITY"),
    ],
)
def test_a_setup_that_cannot_be(message, reason):
    with pytest.raises(BadMessage, match=reason):
        GeminiWire().receive(message)


# --- what the client sends --------------------------------------------------------------------------------------------


def audio(data: bytes, mime: str = "audio/pcm;rate=24000") -> str:
    return json.dumps({"realtime_input": {"audio": {"data": base64.b64encode(data).decode(), "mime_type": mime}}})


def test_sound_golden():
    wire = opened()
    [heard] = wire.receive(audio(b"\x00\x40\x00\xc0" + bytes(2 * FRAME_SAMPLES - 4)))
    assert heard.t == 0 and heard.pcm[:3].tolist() == [0.5, -0.5, 0.0]
    legacy = '{"realtimeInput":{"mediaChunks":[{"mimeType":"audio/pcm;rate=24000","data":"AEA="}]}}'
    assert wire.receive(legacy) == []
    padded = wire.lull()
    assert padded.t == 1 and padded.pcm[:2].tolist() == [0.5, 0.0]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_a_second_of_any_rate_is_a_second(rate_hz):
    wire, clock = opened(), np.arange(rate_hz) / rate_hz
    tone = (0.5 * np.sin(2 * np.pi * 440 * clock) * 32767).astype("<i2").tobytes()
    mime = "audio/pcm" if rate_hz == 16_000 else f"audio/pcm; rate={rate_hz}"
    heard = np.concatenate([frame.pcm for frame in wire.receive(audio(tone, mime))])
    assert len(heard) == 12 * FRAME_SAMPLES
    spectrum = np.abs(np.fft.rfft(heard[FRAME_SAMPLES:] * np.hanning(11 * FRAME_SAMPLES)))
    assert abs(np.argmax(spectrum) * 24_000 / (11 * FRAME_SAMPLES) - 440) < 2
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.03)


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 9_000), max_size=8))
def test_any_chunking_gives_the_same_frames(cuts):
    stream = (np.random.default_rng(0).uniform(-0.9, 0.9, 4_500) * 32768).astype("<i2").tobytes()
    edges = [0, *sorted(cuts), len(stream)]
    whole = opened().receive(audio(stream, "audio/pcm"))
    wire = opened()
    cut = [frame for a, b in pairwise(edges) for frame in wire.receive(audio(stream[a:b], "audio/pcm"))]
    assert [frame.t for frame in cut] == [frame.t for frame in whole] == [0, 1, 2]
    assert all(np.allclose(a.pcm, b.pcm, atol=1e-6) for a, b in zip(cut, whole, strict=True))


def test_pictures_and_text():
    wire = opened()
    picture = '{"realtime_input":{"video":{"data":"_-8","mime_type":"image/jpeg"}}}'
    assert wire.receive(picture) == [Image(b"\xff\xef", "image/jpeg")]
    assert wire.receive('{"realtimeInput":{"text":"Hello?"}}') == [TypedText("Hello?")]
    assert wire.receive(b'{"realtimeInput":{"text":""}}') == []
    assert wire.receive('{"realtimeInput":{"audioStreamEnd":true}}') == []


def test_turns_that_were_said_before():
    wire = opened()
    message = (
        '{"client_content":{"turns":[{"role":"user","parts":[{"text":"Hi."},{"inlineData":{"mimeType":"image/png",'
        '"data":"AA=="}}]},{"role":"model","parts":[{"text":"Hello."},{"functionCall":{"name":"f","args":{"aB":1}}}]},'
        '{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"x":2}}}]}],"turnComplete":true}}'
    )
    assert wire.receive(message) == [
        Remember("user", "Hi."),
        Image(b"\0", "image/png"),
        Remember("assistant", "Hello."),
        Remember("assistant", '(called f with {"aB": 1})'),
        Remember("user", '(f returned {"x": 2})'),
        Respond(),
    ]
    assert wire.receive('{"clientContent":{"turns":[{"parts":[{"text":"More."}]}]}}') == [Remember("user", "More.")]
    told(wire, Answering())
    assert wire.receive('{"clientContent":{"turnComplete":true}}') == [Hush(), Respond()]


def test_a_history_is_not_answered():
    wire = opened(historyConfig={"initialHistoryInClientContent": True})
    history = '{"clientContent":{"turns":[{"role":"model","parts":[{"text":"Hi."}]}],"turnComplete":true}}'
    assert wire.receive(history) == [Remember("assistant", "Hi.")]
    assert wire.receive('{"clientContent":{"turnComplete":true}}') == [Respond()]


def test_push_to_talk_hears_what_lies_between_start_and_end():
    wire = opened(realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
    loud = audio(b"\x00\x40" * FRAME_SAMPLES)
    [before] = wire.receive(loud)
    assert not before.pcm.any()
    assert wire.receive('{"realtime_input":{"activity_start":{}}}') == [Discard(), Hush()]
    [heard] = wire.receive(loud)
    assert heard.pcm.tolist() == LOUD.tolist()
    assert wire.receive(audio(b"\x00\x40")) == []
    rest, *notes = wire.receive('{"realtime_input":{"activity_end":{}}}')
    assert rest.t == 2 and rest.pcm[:2].tolist() == [0.5, 0.0] and notes == [Commit(), Respond()]


def test_another_context():
    message = (
        '{"contextUpdate":{"systemInstruction":{"parts":[{"text":"Be loud."}]},"tools":'
        '{"tools":[{"functionDeclarations":[{"name":"f"}]}]}}}'
    )
    assert opened().receive(message) == [Instruct("Be loud."), UseTools((Tool("f"),))]
    assert opened().receive('{"contextUpdate":{"tools":[]}}') == [UseTools(())]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"setup":{}}', "after the setup a message must hold one of realtimeInput"),
        ('{"somethingElse":{}}', "after the setup a message must hold one of realtimeInput"),
        ('{"realtimeInput":{"audio":{"data":"%"}}}', "data must be base64"),
        (audio(b"", "audio/opus"), "audio must be audio/pcm"),
        (audio(b"", "audio/pcm;rate=7"), "rate of audio/pcm must be one of 8000"),
        ('{"realtimeInput":{"video":{"data":"","mimeType":"image/gif"}}}', "must be image/jpeg or image/png"),
        ('{"realtimeInput":{"activityStart":{}}}', "need automaticActivityDetection.disabled"),
        ('{"realtimeInput":{"text":3}}', "text must be a string"),
        ('{"toolResponse":{"functionResponses":[{"id":"x"}]}}', "no function call 'x' waits for a response"),
        ('{"clientContent":{"turns":3}}', "turns must be a list of objects"),
    ],
)
def test_messages_that_cannot_be(message, reason):
    with pytest.raises(BadMessage, match=reason):
        opened().receive(message)


# --- what the client is told ------------------------------------------------------------------------------------------


def test_a_voice_turn_golden():
    wire = opened(inputAudioTranscription={}, outputAudioTranscription={})
    assert told(wire, SpeechStarted(0), pcm=LOUD) == []  # the sound is nobody's answer
    assert told(wire, SpeechStopped(960), Answering()) == []  # silent so far
    heard = {"serverContent": {"inputTranscription": {"text": "How?", "finished": True}}}
    assert told(wire, Transcript("How?")) == [heard]
    said = {"serverContent": {"outputTranscription": {"text": " So."}}}
    assert told(wire, pcm=LOUD, text=" So.") == [said, SOUND]
    assert len(told(wire)) == 1  # a pause in the answer is a part of it
    *sound, generated, complete = told(wire, Made(pieces=3), Answered(), pcm=LOUD)
    assert sound == [SOUND] and generated == GENERATED
    assert complete == {
        "serverContent": {"turnComplete": True},
        "usageMetadata": {
            "promptTokenCount": 48,
            "responseTokenCount": 43,
            "totalTokenCount": 91,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 48}],
            "responseTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 40},
                {"modality": "TEXT", "tokenCount": 3},
            ],
        },
    }
    assert told(wire, pcm=LOUD, text="noise") == []


def test_what_was_not_asked_for_is_not_told():
    wire = opened()
    assert told(wire, SpeechStopped(0), Answering(), Transcript("How?"), pcm=LOUD, text=" So.") == [SOUND]


def test_text_instead_of_sound():
    wire = opened(generationConfig={"responseModalities": ["TEXT"]})
    part = {"serverContent": {"modelTurn": {"parts": [{"text": " So."}], "role": "model"}}}
    assert told(wire, Answering(), pcm=LOUD, text=" So.") == [part]
    assert closed(told(wire, Answered()))


def test_where_speech_begins_and_ends_if_asked():
    wire = opened(explicitVadSignal=True)
    start = {"voiceActivity": {"voiceActivityType": "ACTIVITY_START", "audioOffset": "0.040s"}}
    assert told(wire, SpeechStarted(960)) == [start]
    assert told(wire, SpeechStopped(24_000))[0]["voiceActivity"]["audioOffset"] == "1.000s"


def test_an_interruption_is_told_at_once_and_without_generation_complete():
    wire = opened()
    told(wire, Answering(), pcm=LOUD)
    messages = told(wire, SpeechStarted(0), Interrupted("So"), Answered("interrupted"), pcm=LOUD)
    assert messages[0] == INTERRUPTED and len(messages) == 2 and closed(messages)


def test_an_interruption_may_end_some_ticks_later():
    wire = opened()
    told(wire, Answering(), pcm=LOUD)
    assert told(wire, Interrupted("So"), pcm=LOUD) == [INTERRUPTED]
    assert told(wire, pcm=LOUD, text="more") == []
    assert closed(told(wire, Answered("interrupted")))


def test_no_phantom_interruption():
    wire = opened()
    told(wire, Answering())
    assert told(wire, Interrupted(""), Answered("interrupted")) == []
    wire.receive('{"realtimeInput":{"text":"Hello?"}}')  # but who asks is answered
    told(wire, Answering())
    messages = told(wire, Answered("cancelled"))
    assert messages[0] == INTERRUPTED and closed(messages)


def test_one_answer_after_the_other_in_one_tick():
    wire = opened()
    told(wire, Answering(), pcm=LOUD)
    generated, complete, sound = told(wire, Answered(), Answering(), pcm=LOUD)
    assert (generated, sound) == (GENERATED, SOUND) and complete["serverContent"] == {"turnComplete": True}


def test_an_answer_that_fails_says_why():
    wire = opened()
    told(wire, Answering())
    messages = told(wire, Failed("llm", "no server"), Answered("failed"))
    assert closed(messages) and messages[0]["serverContent"] == {
        "modelTurn": {"role": "model", "parts": [{"text": "llm failed: no server", "thought": True}]},
        "turnComplete": True,
        "turnCompleteReason": "RESPONSE_REJECTED",
    }


def test_what_the_agent_cannot_take_is_told_with_the_next_words():
    wire = opened()
    assert [wire.declined(Image(b"", "image/png"), "no pictures") for _ in range(2)] == [[], []]
    [message] = told(wire, Answering(), pcm=LOUD)
    reason, sound = message["serverContent"]["modelTurn"]["parts"]
    assert reason == {"text": "no pictures", "thought": True} and "inlineData" in sound


def test_who_asks_in_vain_is_told_at_once():
    wire = opened()
    wire.receive('{"realtimeInput":{"text":"Hello?"}}')
    messages = sent(wire.declined(TypedText("Hello?"), "no typing"))
    assert closed(messages) and messages[0]["serverContent"]["modelTurn"]["parts"][0]["text"] == "no typing"
    assert wire.declined(Hush(), "no") == [] == GeminiWire.refuse("full")


# --- functions --------------------------------------------------------------------------------------------------------


def response(**fields) -> str:
    return json.dumps({"tool_response": {"functionResponses": [fields]}})


def test_a_function_call_golden():
    wire = opened()
    told(wire, Answering())
    calls = (ToolCall("1", "f", '{"aB":null}'), ToolCall("2", "g", "not json"))
    assert told(wire, *calls, Answered()) == [
        {
            "toolCall": {
                "functionCalls": [
                    {"id": "1", "name": "f", "args": {"aB": None}},
                    {"id": "2", "name": "g", "args": {"arguments": "not json"}},
                ]
            }
        }
    ]
    assert wire.receive(response(id="2", name="g", response={"someKey": "é"})) == [ToolResult("2", '{"someKey": "é"}')]
    assert wire.receive(response(name="f", response={"part": 1}, willContinue=True)) == []
    last = '{"part": 1}\n{"part": 2}'
    assert wire.receive(response(name="f", response={"part": 2})) == [ToolResult("1", last), Respond()]
    assert told(wire, Answering(), pcm=LOUD) == [SOUND]
    messages = told(wire, Answered())
    assert messages[0] == GENERATED and closed(messages)
    assert wire.receive(response(id="1", response={})) == []  # once is enough


@pytest.mark.parametrize("piece", ["", "a" * (MAX_RESULT // 200)])
def test_a_result_in_pieces_has_an_end(piece):
    wire = opened()
    told(wire, Answering(), ToolCall("1", "f", "{}"), Answered())
    with pytest.raises(BadMessage, match="a result may come in 256 pieces of 1048576 characters together"):
        for _ in range(MAX_PIECES + 1):
            assert wire.receive(response(id="1", response={"part": piece}, willContinue=True)) == []


def test_a_message_has_so_many_chunks_and_so_much_sound_in_them_all():
    wire = opened()
    chunk = {"mimeType": "audio/pcm;rate=8000", "data": base64.b64encode(bytes(16_000)).decode()}
    assert len(wire.receive(json.dumps({"realtimeInput": {"mediaChunks": [chunk] * 60}}))) == 750
    with pytest.raises(TooMuchSound, match="a message may hold 60 s of sound"):
        wire.receive(json.dumps({"realtimeInput": {"mediaChunks": [chunk] * 61}}))
    with pytest.raises(BadMessage, match="a message may hold 256 media chunks, got 257"):
        wire.receive(json.dumps({"realtimeInput": {"mediaChunks": [{**chunk, "data": ""}] * 257}}))


def test_a_result_that_is_there_before_the_answer_that_asked_for_it_is_over():
    wire = opened()
    told(wire, Answering(), ToolCall("1", "f", "{}"))
    assert wire.receive(response(id="1", response={})) == [ToolResult("1", "{}"), Respond()]
    assert told(wire, Answered()) == []
    told(wire, Answering(), pcm=LOUD)
    assert closed(told(wire, Answered()))


def test_a_result_that_is_not_to_be_spoken_of_ends_the_turn():
    wire = opened()
    told(wire, Answering(), ToolCall("1", "f", "{}"), Answered())
    result, reply = wire.receive(response(id="1", response={}, scheduling="SILENT"))
    assert result == ToolResult("1", "{}") and isinstance(reply, Reply) and closed(sent(list(reply.messages)))


@pytest.mark.parametrize("events", [(Interrupted(""), Answered("interrupted")), (Answered(), Answering())])
def test_calls_of_a_turn_that_is_interrupted_are_cancelled(events):
    wire = opened()
    told(wire, Answering(), ToolCall("1", "f", "{}"))
    messages = told(wire, *events)
    cancelled = {"toolCallCancellation": {"ids": ["1"]}}
    assert messages[:2] == [INTERRUPTED, cancelled] and len(messages) == 3 and closed(messages)
    assert wire.receive(response(id="1", response={})) == []
