"""What a Gemini client declares: instructions, and functions in Google's schema, as a persona and Tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duplex.notes import Tool
from duplex.protocols.gemini.fields import Table, camel, snake, tables, words
from duplex.protocols.wire import BadMessage

_LEFT_OUT = {"property_ordering", "example", "nullable"}
_INNER = {"items", "additional_properties"}
_INNER_LISTS = {"any_of", "prefix_items"}
_INNER_NAMED = {"properties": "properties", "defs": "$defs", "$defs": "$defs"}
_RENAMED = {"ref": "$ref"}
_COUNTS = {"min_items", "max_items", "min_length", "max_length", "min_properties", "max_properties"}


def text_of(content: Any) -> str:
    """The words of a Content, or a plain string. Raises BadMessage."""
    if content is None:
        return ""
    values = content if isinstance(content, dict) else {"parts": [{"text": content}]}
    return "\n".join(text for part in tables(values, "parts") if (text := words(part, "text")))


def tools_of(values: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The functions among the `tools`. Raises BadMessage for other tools: nobody here would run them."""
    found: list[Tool] = []
    for group in tables(values, "tools"):
        others = [key for key, value in group.items() if key != "function_declarations" and value is not None]
        if others:
            raise BadMessage(f"this server has no tool {others[0][:40]!r}; it takes functionDeclarations")
        found += [_tool(declared) for declared in tables(group, "function_declarations")]
    return tuple(found)


def _tool(declared: Table) -> Tool:
    name = words(declared, "name")
    if not name:
        raise BadMessage("a function declaration needs a name")
    schema = declared.get("parameters_json_schema")
    if not isinstance(schema, dict):
        schema = json_schema(declared.get("parameters") or {})
    return Tool(name, words(declared, "description"), schema)


def json_schema(schema: Any) -> Any:
    """Google's Schema, in either case of its keys -> JSON Schema. What is no object stays what it is."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for given, value in schema.items():
        key = snake(given)
        if key not in _LEFT_OUT and value is not None:
            found[_INNER_NAMED.get(key) or _RENAMED.get(key) or camel(key)] = _value(key, value)
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _value(key: str, value: Any) -> Any:
    if key == "type":
        return value.lower() if isinstance(value, str) else value
    if key in _INNER:
        return json_schema(value)
    if key in _INNER_LISTS and isinstance(value, list):
        return [json_schema(item) for item in value]
    if key in _INNER_NAMED and isinstance(value, dict):
        return {name: json_schema(item) for name, item in value.items()}
    if key in _COUNTS and isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)  # Google writes 64-bit integers as strings
    return value
