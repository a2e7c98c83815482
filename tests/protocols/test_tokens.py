"""The wire of docs/TOKENS.md: its worked example, literal bytes both ways, packing, and every refusal."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.events import Hop
from duplex.frame import Frame
from duplex.notes import Instruct, Say, TypedText
from duplex.protocols.tokens import TokensCaller, TokensWire, pack, packed_bytes, unpack
from duplex.protocols.wire import Aside, BadMessage, Bye, Ready, Refused
from duplex.session import Capabilities

CAN = Capabilities("native", model="nano", codebooks=8, cardinality=2048, codec="c0ffee")
CODES = np.array([1, 2047, 0, 5, 1024, 42, 700, 1999])
TICK_0 = bytes.fromhex("01 01 08 00 00 00 00 00 01 f8 3f 00 0a 00 40 15 f0 ea f9")
TICK_3 = bytes.fromhex("01 01 08 00 03 00 00 00 01 f8 3f 00 0a 00 40 15 f0 ea f9")
READY = (
    '{"type":"ready","wire":"tokens","version":1,"codebooks":8,"cardinality":2048,"codec":"c0ffee",'
    '"frame_hz":12.5,"frame_samples":1920,"agent":"native","model":"nano"}'
)
DOC = Path(__file__).parents[2] / "docs" / "TOKENS.md"


def opened(can: Capabilities) -> TokensWire:
    wire = TokensWire()
    wire.hello(can)
    return wire


def test_the_worked_example_of_the_document_is_what_the_wire_sends():
    found = re.search(r"Worked example: tick (\d+), K = 8, the codes ([\d ]+):\n\n    ([\da-f ]+)\n", DOC.read_text())
    assert found
    tick, codes, written = found.groups()
    said = Frame(int(tick), codes=np.array([int(code) for code in codes.split()]))
    assert opened(CAN).send(said) == [bytes.fromhex(written)] == [TICK_3]


def test_server_side_golden():
    wire = TokensWire()
    assert wire.hello(CAN) == [READY]
    said = Frame(3, codes=CODES, text=" hi", events=(Hop("stt", 12.5),))
    assert wire.send(said) == [
        '{"type":"text","t":3,"text":" hi"}',
        '{"type":"event","t":3,"kind":"Hop","stage":"stt","ms":12.5}',
        TICK_3,
    ]
    assert TokensWire.refuse("all 2 seats are taken") == ['{"type":"error","reason":"all 2 seats are taken"}']
    [heard] = wire.receive(TICK_0)
    assert heard.t == 0 and heard.codes.tolist() == CODES.tolist()


def test_notes_golden():
    wire = opened(CAN)
    assert wire.receive('{"type":"say","text":"hello"}') == [Say("hello")]
    assert wire.receive('{"type":"type","text":"typed"}') == [TypedText("typed")]
    assert wire.receive('{"type":"instruct","persona":"a pirate"}') == [Instruct("a pirate")]
    assert wire.receive('{"type":"close"}') == [Bye()]


def test_client_side_golden():
    caller = TokensCaller()
    with pytest.raises(BadMessage, match="before the server's ready"):
        caller.receive(TICK_0)
    [ready] = caller.receive(READY)
    assert isinstance(ready, Ready) and ready.facts["codec"] == "c0ffee"
    assert caller.say(Frame(3, codes=CODES)) == [TICK_3]
    [said] = caller.receive(TICK_0)
    assert said.t == 0 and said.codes.tolist() == CODES.tolist()
    assert caller.receive('{"type":"text","t":1,"text":" hi"}') == [Aside(1, text=" hi")]
    hop = caller.receive('{"type":"event","t":1,"kind":"Hop","stage":"stt","ms":12.5}')
    assert hop == [Aside(1, events=(Hop("stt", 12.5),))]
    assert caller.receive('{"type":"error","reason":"full"}') == [Refused("full")]
    assert caller.receive('{"type":"event","t":1,"kind":"FromTheFuture","x":1}') == []
    assert caller.receive('{"type":"from the future"}') == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "header of 8 bytes, got 0"),
        (TICK_0[:7], "header of 8 bytes, got 7"),
        (b"\x02" + TICK_0[1:], "expected version 1, got 2"),
        (b"\x01\x09" + TICK_0[2:], "expected kind 1, got 9"),
        (b"\x01\x01\x10" + TICK_0[3:], "expected codebooks 8, got 16"),
        (TICK_3, "expected tick 0, got 3"),
        (TICK_0[:-1], "8 codes take 11 bytes, got 10"),
        (TICK_0 + b"\0", "8 codes take 11 bytes, got 12"),
        ("not json", "must be JSON"),
        ("[1]", "a text message must be a JSON object"),
        ('{"type":"sing"}', "no message type 'sing'; known: say, type, instruct, close"),
        ('{"type":"say"}', "a 'say' message needs 'text', a string"),
        ('{"type":"say","text":3}', "a 'say' message needs 'text', a string"),
        ('{"type":"say","text":"\\ud800"}', "a text message must be JSON of whole characters"),
        ("[" * 100_000, "must be JSON"),
    ],
)
def test_what_is_wrong_is_named(message, reason):
    with pytest.raises(BadMessage, match=re.escape(reason)):
        opened(CAN).receive(message)


def test_a_code_beyond_the_codebook_is_refused():
    small = Capabilities("tiny", codebooks=3, cardinality=256)
    fine, high = (lenient_caller(small).say(Frame(0, codes=np.array([0, 255, code])))[0] for code in (255, 256))
    assert opened(small).receive(fine)[0].codes.tolist() == [0, 255, 255]
    with pytest.raises(BadMessage, match=r"tick 0: codes must be 0 to 255, got \[0, 255, 256\]"):
        opened(small).receive(high)


def test_a_refused_tick_does_not_advance_the_clock():
    wire = opened(CAN)
    with pytest.raises(BadMessage):
        wire.receive(TICK_0[:-1])
    assert wire.receive(TICK_0)[0].t == 0


def test_padding_bits_must_be_zero():
    assert pack(np.array([1, 2, 3])) == bytes.fromhex("01 10 c0 00 00")
    with pytest.raises(ValueError, match="after the last code must be zero"):
        unpack(bytes.fromhex("01 10 c0 00 80"), 3)


def test_frames_that_do_not_fit_cannot_be_sent():
    with pytest.raises(ValueError, match="8 codes a tick, but frame 0 holds 2"):
        opened(CAN).send(Frame(0, codes=np.array([1, 2])))
    with pytest.raises(ValueError, match="but frame 0 holds no codes"):
        opened(CAN).send(Frame(0, pcm=np.zeros(1920, np.float32)))
    for code in (-1, 2048):
        with pytest.raises(ValueError, match="codes must be 0 to 2047"):
            pack(np.array([code]))
    with pytest.raises(ValueError, match="has more"):
        TokensWire().hello(Capabilities("big", codebooks=8, cardinality=4096))


@pytest.mark.parametrize(
    ("ready", "reason"),
    [
        (READY.replace('"version":1', '"version":2'), "speaks version 1 of /api/tokens, the server version 2"),
        (READY.replace('"codebooks":8', '"codebooks":"8"'), "must name codebooks and cardinality"),
        ('{"type":"event","kind":"Hop"}', "needs 't', a tick"),
        ('{"type":"event","t":0,"kind":"Hop","nonsense":1}', "not an event"),
    ],
)
def test_a_client_refuses_a_server_that_it_does_not_understand(ready, reason):
    with pytest.raises(BadMessage, match=re.escape(reason)):
        TokensCaller().receive(ready)


@given(st.lists(st.integers(0, 2047), max_size=40))
def test_unpack_inverts_pack(codes):
    packed = pack(np.array(codes, np.int64))
    assert len(packed) == packed_bytes(len(codes)) == -(-11 * len(codes) // 8)
    assert unpack(packed, len(codes)).tolist() == codes


@given(st.binary(min_size=11, max_size=11))
def test_pack_inverts_unpack(payload):
    assert pack(unpack(payload, 8)) == payload


def lenient_caller(can: Capabilities) -> TokensCaller:
    """A caller that believes every code is allowed."""
    caller = TokensCaller()
    caller.receive(TokensWire().hello(Capabilities(can.name, codebooks=can.codebooks, cardinality=2048))[0])
    return caller
