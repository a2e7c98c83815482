"""GPT-Live's sound: formats, any chunking, silence that is digital zero, edges without clicks."""

import base64
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.events import Answered, Answering, SpeechStarted
from duplex.frame import FRAME_SAMPLES, Frame
from duplex.notes import Say, TurnTaking
from duplex.protocols.live.sound import FORMATS
from duplex.protocols.sound import encode_s16
from duplex.session import Capabilities
from tests.protocols.live_talk import CAN, opened, said, send, sound

FORMS = [f"{form.kind} {form.rate_hz}" for form in FORMATS]
SILENCE = {"audio/pcm": b"\x00", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}


def form_of(name: str) -> dict:
    kind, rate = name.split()
    return {"type": kind, "rate": int(rate)}


def append(wire, data: bytes) -> list[Frame]:
    return send(wire, "session.input_audio.append", audio=base64.b64encode(data).decode())


@pytest.mark.parametrize("name", FORMS)
def test_a_tone_comes_through_both_ways_at_its_own_pitch(name):
    form = next(form for form in FORMATS if f"{form.kind} {form.rate_hz}" == name)
    wire = opened(Capabilities("echo"), audio={"format": form_of(name)})
    clock_s = np.arange(form.rate_hz) / form.rate_hz
    heard = append(wire, form.encode((0.5 * np.sin(2 * np.pi * 440 * clock_s)).astype(np.float32)))
    assert [frame.t for frame in heard] == list(range(12))  # 12.5 ticks are a second
    pcm = np.concatenate([frame.pcm for frame in heard])
    assert np.argmax(np.abs(np.fft.rfft(pcm))) == pytest.approx(440 * len(pcm) / 24_000, abs=1)
    assert np.abs(pcm[4800:]).max() == pytest.approx(0.5, abs=0.02)
    deltas = [wire.send(Frame(frame.t, frame.pcm))[-1] for frame in heard]
    back = [base64.b64decode(delta_of(delta)) for delta in deltas]
    assert {len(data) for data in back} == {form.rate_hz * 8 // 100 * form.width}
    again = form.decode(b"".join(back))
    assert np.argmax(np.abs(np.fft.rfft(again))) == pytest.approx(440 * len(again) / form.rate_hz, abs=1)


def delta_of(message: str) -> str:
    return message.split('"delta":"')[1].split('"')[0]


@pytest.mark.parametrize("name", FORMS)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=10))
def test_any_chunking_gives_the_same_frames(name, cuts):
    form = next(form for form in FORMATS if f"{form.kind} {form.rate_hz}" == name)
    signal = np.random.default_rng(0).uniform(-0.9, 0.9, form.rate_hz // 4).astype(np.float32)
    stream = form.encode(signal)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole = append(opened(audio={"format": form_of(name)}), stream)
    wire = opened(audio={"format": form_of(name)})
    cut = [frame for a, b in pairwise(edges) for frame in append(wire, stream[a:b])]
    assert [frame.t for frame in cut] == [frame.t for frame in whole] == [0, 1, 2]
    assert all(np.abs(a.pcm - b.pcm).max() < 1e-6 for a, b in zip(cut, whole, strict=True))


def test_a_lull_is_what_came_and_then_silence():
    wire = opened()
    append(wire, np.full(700, 8192, "<i2").tobytes())
    frame = wire.lull()
    assert frame.t == 0 and (frame.pcm[:700] == 0.25).all() and not frame.pcm[700:].any()
    assert wire.lull().t == 1


MARKS = [(), (Answering(),), (Answered(),), (Answered(), Answering()), (Answering(), Answered()), (SpeechStarted(0),)]
STEPS = st.lists(st.tuples(st.sampled_from(MARKS), st.floats(-1, 1, width=32)), max_size=30)


@given(steps=STEPS)
def test_outside_of_answers_there_is_nothing_but_zeros(steps):
    wire, answering = opened(), False
    for t, (events, level) in enumerate(steps):
        samples = sound(wire.send(said(t, *events, level=level)))
        begun = [isinstance(event, Answering) for event in events if isinstance(event, (Answering, Answered))]
        if not answering and not any(begun):
            assert not samples.any()
        else:
            inside = samples[120:-120]
            assert (inside == np.frombuffer(encode_s16(np.full(1, level, np.float32)), "<i2")).all()
        answering = begun[-1] if begun else answering


@pytest.mark.parametrize("name", FORMS)
def test_silence_is_digital_in_every_format_after_the_tail_of_the_filter(name):
    wire = opened(audio={"format": form_of(name)})
    frames = [
        said(0, Answering(), level=0.5),
        said(1, Answered(), level=0.5),
        *(said(t, level=0.01) for t in range(2, 6)),
    ]
    data = [base64.b64decode(delta_of(wire.send(frame)[-1])) for frame in frames]
    zero = SILENCE[name.split()[0]]
    tail = len(data[2]) // 8  # 10 ms
    assert data[2][tail:].strip(zero) == b"" and all(late.strip(zero) == b"" for late in data[3:])
    assert data[1].strip(zero) != b""


def test_an_answer_fades_in_and_out_in_five_milliseconds():
    wire = opened()
    first, middle, last = (
        sound(wire.send(said(t, *events, level=0.5))) for t, events in enumerate([(Answering(),), (), (Answered(),)])
    )
    assert first[0] == 0 and (np.diff(first[:120]) >= 0).all() and (first[120:] == 16384).all()
    assert (middle == 16384).all()
    assert (last[:-120] == 16384).all() and (np.diff(last[-120:]) <= 0).all() and last[-1] == 0
    assert np.abs(np.diff(np.concatenate([first, middle, last]))).max() < 200


def test_an_agent_that_tells_no_answers_is_heard_when_it_is_louder_than_silence():
    wire = opened(Capabilities("echo", notes=(Say,)))
    assert not sound(wire.send(said(0, level=0.0009))).any()
    assert (sound(wire.send(said(1, level=0.25))) == 8192).all()
    wire.send(said(2, Answering(), level=0.25))
    wire.send(said(3, Answered(), level=0.25))
    assert not sound(wire.send(said(4, level=0.25))).any(), "it does tell"


def test_an_agent_that_can_tell_is_silent_until_it_does():
    assert TurnTaking in CAN.notes
    assert not sound(opened().send(said(0, level=0.25))).any()


@pytest.mark.parametrize("unit", [1, FRAME_SAMPLES])
def test_odd_bytes_wait_for_the_next_message(unit):
    wire = opened()
    data = np.arange(FRAME_SAMPLES, dtype="<i2").tobytes()
    [frame] = [frame for at in range(0, len(data), unit) for frame in append(wire, data[at : at + unit])]
    assert (frame.pcm * 32768 == np.arange(FRAME_SAMPLES)).all()
