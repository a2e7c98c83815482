"""Realtime: any chunking of sound gives the same frames; whatever arrives is answered, and the session goes on."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.events import Answered, Answering, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import Frame
from duplex.notes import Note
from duplex.protocols.g711 import encode_alaw, encode_ulaw
from duplex.protocols.realtime.caller import RealtimeCaller
from duplex.protocols.realtime.wire import RealtimeWire
from duplex.protocols.wire import Aside, BadMessage, Hushed, Ready, Refused, Reply, Sound
from tests.protocols.realtime_talk import CAN, Talk, checked, tone

NOISE = np.random.default_rng(1).uniform(-0.9, 0.9, 6_000).astype(np.float32)
WRITTEN = {
    "audio/pcm": (NOISE * 32768).astype("<i2").tobytes(),
    "audio/pcmu": encode_ulaw(NOISE),
    "audio/pcma": encode_alaw(NOISE),
}


def frames(form: str, cuts: list[int]) -> list[np.ndarray]:
    talk = Talk(audio={"input": {"format": {"type": form}}})
    ends = sorted({min(cut, len(WRITTEN[form])) for cut in cuts} | {len(WRITTEN[form])})
    heard = []
    for begin, end in zip([0, *ends], ends, strict=False):
        audio = base64.b64encode(WRITTEN[form][begin:end]).decode()
        heard += talk.ask("input_audio_buffer.append", audio=audio)[1]
    assert [frame.t for frame in heard] == list(range(len(heard)))
    return [frame.pcm for frame in heard]


@pytest.mark.parametrize("form", WRITTEN)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 12_000), max_size=12))
def test_any_chunking_gives_the_same_frames(form, cuts):
    whole, cut = frames(form, []), frames(form, cuts)
    assert len(whole) == len(cut) == (3 if form == "audio/pcm" else 9)
    for one, other in zip(whole, cut, strict=True):
        assert np.allclose(one, other, atol=1e-6)


NAMES = (
    "type session audio input output format transcription turn_detection server_vad semantic_vad realtime "
    "instructions voice tools item id role user assistant content input_text input_image text image_url item_id "
    "audio_end_ms previous_item_id response metadata output_modalities function name event_id item_1 root"
)
names = st.sampled_from(NAMES.split())
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
EVENTS = (
    "session.update input_audio_buffer.append input_audio_buffer.commit input_audio_buffer.clear "
    "output_audio_buffer.clear conversation.item.create conversation.item.retrieve conversation.item.delete "
    "conversation.item.truncate response.create response.cancel response.done error session.created "
    "response.output_audio.delta input_audio_buffer.speech_started response.function_call_arguments.done"
)
events = st.sampled_from(EVENTS.split())
asked = st.builds(lambda kind, fields: {**fields, "type": kind}, events, st.dictionaries(names, jsons, max_size=5))
messages = st.binary(max_size=30) | st.text(max_size=20) | jsons.map(json.dumps) | asked.map(json.dumps)
happenings = st.sampled_from(
    [
        (),
        (SpeechStarted(0),),
        (SpeechStopped(1_920), Answering()),
        (Answered("interrupted"),),
        (Transcript("x"),),
        (ToolCall("c", "n", "{}"), Answered()),
    ]
)


@settings(max_examples=300, deadline=None)
@given(stream=st.lists(st.tuples(messages, happenings), max_size=6))
def test_whatever_arrives_is_answered(stream):
    wire = RealtimeWire("moshi")
    wire.hello(CAN)
    for t, (message, happened) in enumerate(stream):
        for item in wire.receive(message):
            assert isinstance(item, (Frame, Reply, Note))
            for reply in item.messages if isinstance(item, Reply) else ():
                checked(reply)
            if isinstance(item, Note):
                for reply in wire.declined(item, "no"):
                    checked(reply)
        for reply in wire.send(Frame(t, tone(), text=" x", events=happened)):
            checked(reply)


@settings(max_examples=150, deadline=None)
@given(stream=st.lists(messages, max_size=4))
def test_the_caller_knows_results_and_bad_messages(stream):
    caller = RealtimeCaller()
    for message in stream:
        try:
            items = caller.receive(message)
        except BadMessage as error:
            assert str(error)
            return
        assert all(isinstance(item, (Ready, Aside, Sound, Hushed, Refused)) for item in items)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ('{"type":"response.create","x":1e999}', "invalid_json"),
        ('{"type":"response.create","x":NaN}', "invalid_json"),
        ('{"type":"conversation.item.delete","item_id":"\\ud800"}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        (b"\xff\xfe\x00", "invalid_json"),
        ("[]", "invalid_json"),
        ('{"type":["x"]}', "invalid_value"),
        ('{"type":"session.delete","event_id":"e"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"?","event_id":"e"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","event_id":"e"}', "invalid_value"),
        ('{"type":"response.create","response":{"conversation":"none"},"event_id":"e"}', "unsupported"),
        ('{"type":"response.create","response":{"input":[{}]},"event_id":"e"}', "unsupported"),
        ('{"type":"response.create","response":{"metadata":{"a":1}},"event_id":"e"}', "invalid_value"),
        ('{"type":"conversation.item.create","item":{"type":["x"]},"event_id":"e"}', "unsupported"),
        ('{"type":"conversation.item.create","item":{"role":["x"]},"event_id":"e"}', "invalid_value"),
    ],
)
def test_what_is_wrong_is_said_and_ends_nothing(message, code):
    talk = Talk()
    [item] = talk.wire.receive(message)
    error = checked(item.messages[0])
    assert error["error"]["code"] == code and error["error"]["message"]
    assert error["error"]["event_id"] == ("e" if '"event_id"' in str(message) else None)
    assert len(talk.append(tone())) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"type": "input_audio", "audio": "AAAA"}, "unsupported"),
        ({"type": "input_video"}, "unsupported"),
        ({"type": "input_text"}, "invalid_value"),
        ({"type": "input_image", "image_url": "https://example.org/cat.png"}, "invalid_image"),
        ({"type": "input_image", "image_url": "data:image/png;base64,?"}, "invalid_image"),
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, "invalid_image"),
        ({"type": "input_image", "image_url": "data:image/gif;base64,AAAA"}, "invalid_image"),
        ({"type": "input_image", "image_url": "data:image/png;base64," + "A" * (12 << 20)}, "invalid_image"),
    ],
)
def test_content_that_cannot_be(content, code):
    item = {"type": "message", "role": "user", "content": [content]}
    [error], notes = Talk().ask("conversation.item.create", item=item)
    assert error["error"]["code"] == code and notes == []
