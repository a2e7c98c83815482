"""Whatever arrives, GPT-Live answers with results, with an `error`, or, before there is a session, with BadMessage."""

import json
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.live import SessionConfig
from openai.types.live.responses_delegation_config import ResponsesDelegationConfig

from duplex.events import ToolCall
from duplex.frame import Frame
from duplex.notes import Note, Remember, Respond, ToolResult
from duplex.protocols.live.caller import LiveCaller
from duplex.protocols.live.events import KINDS
from duplex.protocols.live.wire import LiveWire
from duplex.protocols.wire import Aside, BadMessage, Bye, Open, Ready, Refused, Reply
from tests.protocols.live_talk import CAN, opened, replies, said, told

RESPONSES = {"type": "responses", "responses": {"model": "m"}}
ALLOWED = (*get_args(Note), Frame, Bye, Reply)

FIELDS = {name for kind in (*KINDS.values(), SessionConfig, ResponsesDelegationConfig) for name in kind.model_fields}
VALUES = ["client", "responses", "function", "function_call_output", "user", "input_text", "audio/pcm", "AAAA"]
words = st.sampled_from(
    [*sorted(FIELDS), *VALUES, "format", "rate", "voice", "role", "name", "text", "call_id", "output"]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words
jsons = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5), max_leaves=10
)
typed = st.builds(
    lambda kind, rest: rest | {"type": kind}, st.sampled_from([*KINDS, "x"]), st.dictionaries(words, jsons, max_size=4)
)
starts = st.builds(
    lambda rest: {"type": "session.start", "session": {"model": "m", **rest}}, st.dictionaries(words, jsons, max_size=4)
)
updates = st.builds(
    lambda rest: {"type": "session.update", "session": {"delegation": {"type": "responses", "responses": rest}}},
    st.dictionaries(words, jsons, max_size=4),
)
items = st.builds(
    lambda rest: {"type": "response.item.create", "item": {"type": "message", "role": "user", **rest}},
    st.dictionaries(words, jsons, max_size=4),
)
messages = st.binary(max_size=30) | st.text(max_size=20) | (jsons | typed | starts | updates | items).map(json.dumps)
patient = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("delegation", [{"type": "client"}, RESPONSES], ids=["client", "responses"])
@patient
@given(stream=st.lists(messages, max_size=4))
def test_an_open_session_survives_everything(delegation, stream):
    wire = opened(delegation=delegation)
    for message in stream:
        got = wire.receive(message)
        assert all(isinstance(item, ALLOWED) for item in got)
        replies(got)
    told(wire.send(said(0, ToolCall("c", "f", "{}"))))


@patient
@given(first=starts.map(json.dumps) | messages)
def test_a_session_opens_or_is_refused(first):
    wire = LiveWire()
    try:
        opening, *rest = wire.receive(first)
    except BadMessage as error:
        assert str(error)
        return
    assert isinstance(opening, Open) and all(isinstance(item, ALLOWED) for item in rest)
    told(wire.hello(CAN))
    replies(rest)


@patient
@given(stream=st.lists(messages, max_size=4))
def test_the_calling_side_gives_results_or_bad_message(stream):
    caller = LiveCaller()
    for message in stream:
        try:
            got = caller.receive(message)
        except BadMessage as error:
            assert str(error)
            return
        assert all(isinstance(item, (Ready, Frame, Aside, Refused)) for item in got)


def test_the_notes_that_a_client_makes_are_notes():
    assert {Remember, Respond, ToolResult} <= set(get_args(Note))
