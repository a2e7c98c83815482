"""Kyutai's /api/chat: literal bytes with a plain stand-in for Opus, and what the real Opus does to the samples."""

from itertools import pairwise

import numpy as np
import pytest
import sphn
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame, frames_of
from duplex.protocols.moshi import MoshiCaller, MoshiWire
from duplex.protocols.opus import OPUS_DELAY_SAMPLES, Opus
from duplex.protocols.wire import Aside, BadMessage, Ready, Refused
from duplex.session import Capabilities
from tests.server.site import chirp


class Plain:
    """Samples as they are, so that bytes can be written down."""

    def encode(self, pcm: np.ndarray) -> bytes:
        return pcm.astype("<f4").tobytes()

    def decode(self, ogg: bytes, limit_samples: int) -> np.ndarray:
        return np.frombuffer(ogg, "<f4")


def test_server_side_golden():
    wire = MoshiWire(Plain())
    assert wire.hello(Capabilities("moshi")) == [b"\x00"]
    pcm = np.full(FRAME_SAMPLES, 0.5, np.float32)
    audio = b"\x01" + bytes.fromhex("0000003f") * FRAME_SAMPLES
    assert wire.send(Frame(0, pcm)) == [audio]
    assert wire.send(Frame(1, pcm, text=" héllo")) == [audio, b"\x02 h\xc3\xa9llo"]
    assert MoshiWire.refuse("full") == [b"\x05full"]
    [heard] = wire.receive(audio)
    assert heard.t == 0 and np.array_equal(heard.pcm, pcm)


def test_client_side_golden():
    caller = MoshiCaller(Plain())
    pcm = np.full(FRAME_SAMPLES, 0.5, np.float32)
    audio = b"\x01" + bytes.fromhex("0000003f") * FRAME_SAMPLES
    assert caller.receive(b"\x00") == [Ready()]
    assert caller.receive(b"\x00" + bytes(8)) == [Ready()], "the Rust server's handshake is longer"
    assert caller.say(Frame(0, pcm)) == [audio]
    assert [f.t for f in caller.receive(audio) + caller.receive(audio)] == [0, 1]
    assert caller.receive(b"\x02 hi") == [Aside(1, " hi")]
    assert caller.receive(b"\x05full") == [Refused("full")]


@pytest.mark.parametrize("message", [b"", b"\x00", b"\x02hi", b"\x03\x01", b"\x04{}", b"\x06", b"\x07", b"\xff\xff"])
def test_kinds_that_mean_nothing_here_are_dropped(message):
    assert MoshiWire(Plain()).receive(message) == []


def test_what_is_not_ogg_is_refused():
    with pytest.raises(BadMessage, match="kind 1 must be Ogg/Opus, 24 kHz mono"):
        MoshiWire(Opus()).receive(b"\x01" + bytes(range(256)))
    with pytest.raises(BadMessage, match="got a text message"):
        MoshiWire(Opus()).receive("\x01")


def test_an_opus_stream_keeps_its_sample_count_and_is_late_by_the_documented_delay():
    caller, wire, signal = MoshiCaller(Opus()), MoshiWire(Opus()), chirp(25)
    heard = [f for frame in frames_of(signal) for message in caller.say(frame) for f in wire.receive(message)]
    assert [f.t for f in heard] == list(range(25)), "every tick arrives with its own message"
    decoded = np.concatenate([f.pcm for f in heard])
    part = signal[12_000:24_000]
    lag = int(np.correlate(decoded[12_000:26_000], part, "valid").argmax())
    assert abs(lag - OPUS_DELAY_SAMPLES) <= 1, "the codec is lossy: its phase is good to a sample"


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 4_000), max_size=8))
def test_any_chunking_of_the_ogg_stream_gives_the_same_frames(cuts):
    writer = sphn.OpusStreamWriter(SAMPLE_RATE)
    ogg = b"".join(writer.append_pcm(frame.pcm) for frame in frames_of(chirp(10)))
    edges = [0, *sorted(min(cut, len(ogg)) for cut in cuts), len(ogg)]
    wire, whole = MoshiWire(Opus()), MoshiWire(Opus()).receive(b"\x01" + ogg)
    cut = [f for a, b in pairwise(edges) for f in wire.receive(b"\x01" + ogg[a:b])]
    assert [f.t for f in cut] == [f.t for f in whole] == list(range(10))
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(cut, whole, strict=True))


def test_a_small_message_cannot_unfold_into_endless_audio():
    writer = sphn.OpusStreamWriter(SAMPLE_RATE)
    ogg = b"".join(writer.append_pcm(np.zeros(FRAME_SAMPLES, np.float32)) for _ in range(25 * 31))
    with pytest.raises(BadMessage, match="a message may hold 60 s of sound"):
        MoshiWire(Opus()).receive(b"\x01" + ogg)


def test_a_frame_without_sound_cannot_be_sent():
    with pytest.raises(ValueError, match="carries pcm, but frame 0 holds none"):
        MoshiWire(Opus()).send(Frame(0, codes=np.array([1])))
