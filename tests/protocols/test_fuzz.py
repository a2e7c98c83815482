"""Whatever arrives, a wire answers with results or with BadMessage, on either side."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.frame import Frame
from duplex.notes import Instruct, Say, TypedText
from duplex.protocols.moshi import MoshiCaller, MoshiWire
from duplex.protocols.opus import Opus
from duplex.protocols.pcm import PcmCaller, PcmWire
from duplex.protocols.tokens import TokensCaller, TokensWire
from duplex.protocols.wire import Aside, BadMessage, Bye, Ready, Refused
from duplex.session import Capabilities

CAN = Capabilities("native", codebooks=8, cardinality=2048)
KNOWN = (Frame, Say, TypedText, Instruct, Bye, Ready, Aside, Refused)
SIDES = {
    "chat": lambda: MoshiWire(Opus()),
    "chat caller": lambda: MoshiCaller(Opus()),
    "pcm s16": lambda: PcmWire("s16"),
    "pcm f32": lambda: PcmWire("f32"),
    "pcm caller": PcmCaller,
    "tokens": lambda: greeted(TokensWire()),
    "tokens caller": lambda: opened(TokensCaller()),
}
GOOD_OGG = Opus().encode(np.zeros(1920, np.float32))

words = st.sampled_from(
    ["type", "text", "say", "t", "event", "kind", "Hop", "ms", "ready", "version", "codebooks", "close"]
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=8,
)
headed = st.tuples(st.sampled_from([b"\x01", b"\x01\x01", b"\x01\x01\x08\x00\x00\x00\x00\x00"]), st.binary(max_size=40))
damaged = st.tuples(st.integers(0, len(GOOD_OGG) - 1), st.integers(0, 255)).map(
    lambda at: b"\x01" + GOOD_OGG[: at[0]] + bytes([at[1]]) + GOOD_OGG[at[0] + 1 :]
)
messages = st.binary(max_size=64) | headed.map(b"".join) | damaged | st.text(max_size=20) | jsons.map(json.dumps)


def greeted(wire: TokensWire) -> TokensWire:
    wire.hello(CAN)
    return wire


def opened(caller: TokensCaller) -> TokensCaller:
    caller.receive(TokensWire().hello(CAN)[0])
    return caller


@pytest.mark.parametrize("side", SIDES)
@settings(max_examples=150)
@given(stream=st.lists(messages, max_size=4))
def test_only_results_or_bad_message(side, stream):
    wire = SIDES[side]()
    for message in stream:
        try:
            items = wire.receive(message)
        except BadMessage as error:
            assert str(error)
            return
        assert all(isinstance(item, KNOWN) for item in items)
