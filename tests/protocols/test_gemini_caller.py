"""The calling side of Gemini Live: literal messages, and what the serving side makes of them."""

import base64
import json

import numpy as np
import pytest

from duplex.events import Answered, Answering, Interrupted, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Frame, silence
from duplex.notes import UseVoice
from duplex.protocols.gemini.caller import GeminiCaller
from duplex.protocols.gemini.wire import GeminiWire
from duplex.protocols.wire import Aside, BadMessage, Hushed, Open, Ready, Sound
from duplex.session import Capabilities

LOUD = np.full(FRAME_SAMPLES, 0.5, np.float32)


def test_the_setup():
    [setup] = GeminiCaller("native", "Be brief.", "heart").hello()
    wish, voice = GeminiWire().receive(setup)
    assert isinstance(wish, Open) and wish.agent == "native" and wish.config.transcribe
    assert (wish.config.persona, voice) == ("Be brief.", UseVoice("heart"))


def test_a_tick_golden():
    [message] = GeminiCaller().say(silence(0))
    data = base64.b64encode(bytes(2 * 1280)).decode()
    assert message == f'{{"realtimeInput":{{"audio":{{"data":"{data}","mimeType":"audio/pcm;rate=16000"}}}}}}'
    with pytest.raises(ValueError, match="carries pcm, but frame 0 holds none"):
        GeminiCaller().say(Frame(0, codes=np.array([1])))


def test_what_the_server_says_is_heard():
    wire, caller = GeminiWire(), GeminiCaller()
    wire.receive(caller.hello()[0])
    assert caller.receive(wire.hello(Capabilities("x"))[0]) == [Ready({})]
    [heard] = wire.receive(caller.say(Frame(0, LOUD))[0])
    assert heard.pcm[-1] == pytest.approx(0.5, abs=0.01)

    def hears(*events, pcm=LOUD, text=""):
        said = wire.send(Frame(0, pcm, text=text, events=events))
        return [item for message in said for item in caller.receive(message)]

    words, sound = hears(Answering(), text=" So.")
    assert words == Aside(0, " So.") and isinstance(sound, Sound) and np.array_equal(sound.pcm, LOUD)
    asked, aside = hears(Transcript("What?"), ToolCall("1", "f", '{"a": 1}'), pcm=silence(0).pcm)[0::2]
    assert asked == Aside(0, events=(Transcript("What?"),))
    assert aside == Aside(0, events=(ToolCall("1", "f", '{"a": 1}'),))
    assert hears(Interrupted(""), Answered("interrupted")) == [Hushed(), Aside(0, events=(Answered("interrupted"),))]
    assert [type(item) for item in hears(Answering())] == [Sound]
    assert hears(Answered(), pcm=silence(0).pcm)[-1] == Aside(0, events=(Answered("completed"),))


def test_sound_of_another_kind_is_refused():
    part = {"inlineData": {"mimeType": "audio/pcm;rate=16000", "data": ""}}
    with pytest.raises(BadMessage, match="speaks at 24000 Hz"):
        GeminiCaller().receive(json.dumps({"serverContent": {"modelTurn": {"parts": [part]}}}))
