"""Whatever a Gemini client, or server, sends: results or BadMessage."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.events import Answering, ToolCall
from duplex.frame import silence
from duplex.protocols.gemini.caller import GeminiCaller
from duplex.protocols.gemini.wire import GeminiWire
from duplex.protocols.wire import Aside, BadMessage, Hushed, Item, Ready, Sound
from duplex.session import Capabilities

KNOWN = (*Item.__args__, Sound, Hushed, Ready, Aside)
KEYS = (
    "setup model generationConfig responseModalities speechConfig languageCode systemInstruction parts text tools name "
    "functionDeclarations parameters properties items type realtimeInputConfig automatic_activity_detection disabled "
    "silenceDurationMs sessionResumption realtimeInput audio video mediaChunks data mimeType activityStart activityEnd "
    "audioStreamEnd clientContent turns role inline_data functionCall args turnComplete toolResponse functionResponses "
    "id response willContinue contextUpdate serverContent modelTurn toolCall functionCalls outputTranscription"
)
VALUES = ["AUDIO", "audio/pcm", "audio/pcm;rate=8000", "image/png", "AAA=", "user", "OBJECT", "1", "f"]

keys = st.sampled_from(KEYS.split())
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(VALUES)
odd = st.sampled_from(["\ud800", 10**400, 1e308, -1, [], {}])
jsons = st.recursive(
    leaves | odd, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
tops = st.sampled_from(["setup", "realtimeInput", "client_content", "toolResponse", "contextUpdate", "serverContent"])
messages = (
    st.dictionaries(tops, st.dictionaries(keys, jsons, max_size=4), max_size=2).map(json.dumps)
    | jsons.map(json.dumps)
    | st.binary(max_size=20)
    | st.text(max_size=20)
    | st.integers(100, 3_000).map(lambda depth: '{"setup":' + '{"parameters":[' * depth + "]}" * depth + "}")
    | st.integers(50, 900).map(
        lambda depth: (
            '{"toolResponse":{"functionResponses":[{"id":"1","response":' + '{"a":' * depth + "1" + "}" * depth + "}]}}"
        )
    )
)


def fresh() -> GeminiWire:
    return GeminiWire()


def by_hand() -> GeminiWire:
    wire = GeminiWire()
    wire.receive('{"setup":{"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}}}')
    wire.hello(Capabilities("x"))
    wire.send(silence(0))
    return wire


def calling() -> GeminiWire:
    wire = GeminiWire()
    wire.receive('{"setup":{}}')
    said = silence(0)
    wire.send(type(said)(0, said.pcm, events=(Answering(), ToolCall("1", "f", "{}"))))
    return wire


@pytest.mark.parametrize("side", [fresh, by_hand, calling, GeminiCaller])
@settings(max_examples=100)
@given(stream=st.lists(messages, max_size=4))
def test_only_results_or_bad_message(side, stream):
    wire = side()
    for message in stream:
        try:
            items = wire.receive(message)
        except BadMessage as error:
            assert str(error).encode()
            return
        assert all(isinstance(item, KNOWN) for item in items)
