"""What a message of JSON may be, on every wire that has them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.protocols.json_object import DEEPEST, MOST_VALUES, json_object

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


@given(values=st.dictionaries(st.text(max_size=5), JSONS, max_size=4), ascii_only=st.booleans(), binary=st.booleans())
def test_what_can_be_written_is_read(values, ascii_only, binary):
    text = json.dumps(values, ensure_ascii=ascii_only)
    assert json_object(text.encode() if binary else text) == values


def test_what_is_read_can_be_written():
    assert json_object('{"a":"\\ud83d\\ude00 \\\\ud800"}') == {"a": "\U0001f600 \\ud800"}


def deep(levels: int) -> str:
    return '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


def test_the_limits_themselves_are_allowed():
    assert json_object(deep(DEEPEST))
    assert len(json_object('{"a":[' + ",".join("1" * (MOST_VALUES - 1)) + "]}")["a"]) == MOST_VALUES - 1
    assert json_object(json.dumps({"a": "/" * 10_000_000}))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "a message must be JSON: Expecting value"),
        ('{"a":', "a message must be JSON: Expecting value"),
        ("[]", "a message must be a JSON object"),
        ("7", "a message must be a JSON object"),
        (b"\xff", "a message must be JSON of whole characters: invalid start byte"),
        ('{"a":"\\ud800"}', "a message must be JSON of whole characters: surrogates not allowed"),
        ('{"\\uDFFF":1}', "a message must be JSON of whole characters: surrogates not allowed"),
        ('{"a":"\ud800"}', "a message must be JSON of whole characters: surrogates not allowed"),
        ('{"a":NaN}', "a message must be JSON: NaN is not a number that JSON can hold"),
        ('{"a":-Infinity}', "a message must be JSON: -Infinity is not a number that JSON can hold"),
        ('{"a":1e999}', "a message must be JSON: 1e999 is not a number that JSON can hold"),
        ('{"a":' + "9" * 5_000 + "}", "a message must be JSON: Exceeds the limit"),
        (deep(DEEPEST + 1), "a message must be JSON: objects and lists may be nested 100 deep"),
        (deep(MOST_VALUES - 1), "a message must be JSON: objects and lists may be nested 100 deep"),
        ('{"a":[' + ",".join("1" * MOST_VALUES) + "]}", f"a message must be JSON: it may hold {MOST_VALUES} values"),
        ('{"a":[' + ",".join(["{}"] * MOST_VALUES) + "]}", f"a message must be JSON: it may hold {MOST_VALUES} values"),
    ],
)
def test_refused(message, reason):
    with pytest.raises(ValueError, match="must be") as refused:
        json_object(message)
    assert str(refused.value).startswith(reason)


def test_the_reason_names_what_it_is_about():
    with pytest.raises(ValueError, match=r"^a text message must be a JSON object$"):
        json_object("[]", "a text message")
