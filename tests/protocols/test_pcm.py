"""/api/pcm: literal messages both ways, any chunking, what is refused."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.events import Interrupted, Transcript
from duplex.frame import FRAME_SAMPLES, Frame
from duplex.notes import Instruct, Say, TypedText
from duplex.protocols.pcm import PcmCaller, PcmWire
from duplex.protocols.wire import Aside, BadMessage, Bye, Ready, Refused
from duplex.session import Capabilities

CAN = Capabilities("echo", model="none")
RAMP = np.linspace(-1, 1, FRAME_SAMPLES, dtype=np.float32)
READY = (
    '{"type":"ready","wire":"pcm","version":1,"agent":"echo","model":"none",'
    '"sample_rate":24000,"frame_samples":1920,"frame_ms":80,"format":"%s"}'
)


def frame(*first: float, t: int = 0, **more) -> Frame:
    pcm = np.zeros(FRAME_SAMPLES, np.float32)
    pcm[: len(first)] = first
    return Frame(t, pcm, **more)


@pytest.mark.parametrize(
    ("form", "first"),
    [("s16", bytes.fromhex("0000 0040 00c0 ff7f 0080 ff7f")), ("f32", struct.pack("<6f", 0, 0.5, -0.5, 1, -1, 1.5))],
)
def test_server_side_golden(form, first):
    wire = PcmWire(form)
    assert wire.hello(CAN) == [READY % form]
    said = frame(0, 0.5, -0.5, 1, -1, 1.5, t=7, text=" hi", events=(Transcript("what?"), Interrupted("half")))
    text, transcript, interrupted, samples = wire.send(said)
    assert text == '{"type":"text","t":7,"text":" hi"}'
    assert transcript == '{"type":"event","t":7,"kind":"Transcript","text":"what?"}'
    assert interrupted == '{"type":"event","t":7,"kind":"Interrupted","heard":"half"}'
    assert samples[: len(first)] == first and samples[len(first) :] == bytes(len(samples) - len(first))
    assert len(samples) == FRAME_SAMPLES * (2 if form == "s16" else 4)
    assert PcmWire.refuse("full") == ['{"type":"error","reason":"full"}']


def test_notes_golden():
    wire = PcmWire()
    assert wire.receive('{"type":"say","text":"a"}') == [Say("a")]
    assert wire.receive('{"type":"type","text":"b"}') == [TypedText("b")]
    assert wire.receive('{"type":"instruct","persona":"c"}') == [Instruct("c")]
    assert wire.receive('{"type":"close"}') == [Bye()]


def test_samples_come_in_as_sent():
    s16, f32 = PcmWire("s16"), PcmWire("f32")
    [heard] = s16.receive(bytes.fromhex("0040 00c0 ff7f 0080") + bytes(2 * (FRAME_SAMPLES - 4)))
    assert heard.t == 0 and heard.pcm[:5].tolist() == [0.5, -0.5, 32767 / 32768, -1.0, 0.0]
    [heard] = f32.receive(RAMP.astype("<f4").tobytes())
    assert heard.t == 0 and np.array_equal(heard.pcm, RAMP)


def test_client_side_golden():
    caller = PcmCaller()
    [ready] = caller.receive(READY % "s16")
    assert isinstance(ready, Ready) and ready.facts["frame_ms"] == 80
    assert caller.say(frame(0.5))[0][:4] == bytes.fromhex("0040 0000")
    assert caller.receive('{"type":"text","t":0,"text":"x"}') == [Aside(0, "x")]
    assert caller.receive('{"type":"error","reason":"full"}') == [Refused("full")]
    [said] = caller.receive(bytes.fromhex("0040") + bytes(3838))
    assert said.t == 0 and said.pcm[0] == 0.5


@pytest.mark.parametrize("form", ["s16", "f32"])
@given(cuts=st.lists(st.integers(0, 20_000), max_size=12))
def test_any_chunking_gives_the_same_frames(form, cuts):
    width = 2 if form == "s16" else 4
    signal = np.random.default_rng(0).uniform(-0.9, 0.9, FRAME_SAMPLES * 3 - 700).astype(np.float32)
    stream = (signal * 32768).astype("<i2").tobytes() if form == "s16" else signal.astype("<f4").tobytes()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    wire, whole = PcmWire(form), PcmWire(form).receive(stream)
    cut = [f for a, b in pairwise(edges) for f in wire.receive(stream[a:b])]
    assert [f.t for f in cut] == [f.t for f in whole] == list(range(len(stream) // width // FRAME_SAMPLES))
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(cut, whole, strict=True))


@pytest.mark.parametrize("form", ["s16", "f32"])
def test_what_one_side_says_the_other_hears(form):
    heard = PcmWire(form).receive(PcmCaller(form).say(Frame(0, RAMP))[0])
    assert np.abs(heard[0].pcm - RAMP).max() <= 1 / 32768


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(BadMessage, match="finite"):
        PcmWire("f32").receive(np.array([0, value], "<f4").tobytes())


def test_an_unknown_format_is_refused():
    with pytest.raises(BadMessage, match="format must be s16 or f32, got 'mp3'"):
        PcmWire("mp3")


def test_a_frame_without_sound_cannot_be_sent():
    with pytest.raises(ValueError, match="carries pcm, but frame 0 holds none"):
        PcmWire().send(Frame(0, codes=np.array([1])))
