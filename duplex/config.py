"""Configuration: frozen dataclasses from TOML or flags. An unknown key is an error that names the valid ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


class ConfigError(Exception):
    """A setting is unknown, missing or of the wrong kind; the message says which and what is allowed."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError when it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def from_flags(pairs: Iterable[str]) -> dict[str, Any]:
    """["vad.stop_ms=300", "voice=heart"] -> nested tables; a value is TOML, or else a string. Raises ConfigError."""
    lines = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"a setting is KEY=VALUE, got {pair!r}")
        lines.append(f"{key} = {value if _is_toml(value) else json.dumps(value)}")
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"settings {' '.join(pairs)}: {error}") from None


def _is_toml(value: str) -> bool:
    try:
        return list(tomllib.loads(f"value = {value}")) == ["value"]
    except tomllib.TOMLDecodeError:
        return False


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of settings, those of `above` winning key by key, in nested tables too."""
    tables = {k: merged(below[k], v) for k, v in above.items() if isinstance(v, dict) and k in below}
    return {**below, **above, **tables}


def from_dict(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `kind` from plain values, nested dataclasses included.

    `where` names the table in error messages. Raises ConfigError on an unknown or missing key, a value of the wrong
    type, or a value that the dataclass itself refuses.
    """
    where = where or kind.__name__
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ConfigError(f"[{where}] has no key {unknown[0]!r}; valid keys: {', '.join(sorted(known))}")
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"[{where}] needs a value for {name!r}")
    given = {key: _value(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"[{where}] {error}") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _first_that_fits(choices, value, where)
    if origin is Literal:
        return _literal(choices, value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, _checked(value, Mapping, where, "a table"), where)
    if origin in (tuple, list):
        items = _checked(value, (list, tuple), where, "a list")
        return origin(_value(choices[0], item, where) for item in items)
    if origin is Mapping:
        return {k: _value(choices[1], v, f"{where}.{k}") for k, v in _checked(value, Mapping, where, "a table").items()}
    if hint is Path:
        return Path(_checked(value, (str, Path), where, "a path"))
    if hint is float:
        return float(_checked(value, (int, float), where, "a number"))
    return _checked(value, hint, where, getattr(hint, "__name__", str(hint)))


def _checked(value: Any, kind: Any, where: str, wanted: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where} must be {wanted}, got {value!r}")
    return value


def _literal(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in choices:
        raise ConfigError(f"{where} must be one of {', '.join(map(str, choices))}, got {value!r}")
    return value


def _first_that_fits(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    problems = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _value(choice, value, where)
        except ConfigError as error:
            problems.append(str(error))
    raise ConfigError(problems[0])
