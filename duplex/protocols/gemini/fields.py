"""A Gemini client's JSON as values with one spelling of every key, and its fields with their kinds checked."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from duplex.protocols.json_object import json_object
from duplex.protocols.wire import BadMessage, Message

Table = dict[str, Any]

# Below these keys the names are the client's own.
_THEIRS = {"args", "response", "parameters", "parameters_json_schema", "labels"}
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def parsed(message: Message) -> Table:
    """One message, its keys in snake_case: Google's SDKs mix both cases in one message. Raises BadMessage."""
    try:
        return _spelled(json_object(message))
    except ValueError as error:
        raise BadMessage(str(error)) from None


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    spelled = {snake(key): inner for key, inner in value.items()}
    return {key: inner if key in _THEIRS else _spelled(inner) for key, inner in spelled.items()}


def snake(key: str) -> str:
    """silenceDurationMs -> silence_duration_ms; snake_case stays what it is."""
    return _HUMP.sub(r"_\1", key).lower()


def camel(key: str) -> str:
    """silence_duration_ms -> silenceDurationMs; camelCase stays what it is."""
    first, *rest = key.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def has(values: Mapping[str, Any], key: str) -> bool:
    """Whether it is there; an empty object is."""
    return values.get(key) is not None


def table(values: Mapping[str, Any], key: str) -> Table:
    """An object; {} when it is left out. Raises BadMessage."""
    return _of(dict, values, key, "an object") or {}


def tables(values: Mapping[str, Any], key: str) -> list[Table]:
    """A list of objects; one alone counts as a list. Raises BadMessage."""
    found = values.get(key)
    found = [found] if isinstance(found, dict) else found or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadMessage(f"{camel(key)} must be a list of objects")
    return found


def words(values: Mapping[str, Any], key: str) -> str:
    """A string; "" when it is left out. Raises BadMessage."""
    return _of(str, values, key, "a string") or ""


def flag(values: Mapping[str, Any], key: str) -> bool:
    """True or false; false when it is left out. Raises BadMessage."""
    return bool(_of(bool, values, key, "true or false"))


def number(values: Mapping[str, Any], key: str) -> float | None:
    """A number; None when it is left out. Raises BadMessage."""
    found = values.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not abs(found) < 1e12:
        raise BadMessage(f"{camel(key)} must be a number, got {str(found)[:40]!r}")
    return float(found)


def choice(values: Mapping[str, Any], key: str, *known: str) -> str:
    """One of `known`, in any case; "" when it is left out or unspecified. Raises BadMessage."""
    found = words(values, key).upper()
    if found and found not in known and not found.endswith("_UNSPECIFIED"):
        raise BadMessage(f"{camel(key)} must be {' or '.join(known)}, got {found[:60]!r}")
    return found


def binary(values: Mapping[str, Any], key: str = "data") -> bytes:
    """Base64 of either alphabet, padded or not: Google's Python SDK sends the one for addresses. Raises BadMessage."""
    text = words(values, key).translate({ord("-"): "+", ord("_"): "/"})
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise BadMessage(f"{camel(key)} must be base64: {error}") from None


def _of(kind: type, values: Mapping[str, Any], key: str, wanted: str) -> Any:
    found = values.get(key)
    if found is not None and not isinstance(found, kind):
        raise BadMessage(f"{camel(key)} must be {wanted}, got {str(found)[:40]!r}")
    return found
