"""A message that is one JSON object: read so that whatever is in it can be walked through, and written again."""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEEPEST = 100  # objects and lists in each other
MOST_VALUES = 20_000  # in one message, and commas in its texts; sound and pictures are one value each
_HALF_LETTER = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair, perhaps without the other


def json_object(message: bytes | str, what: str = "a message") -> dict[str, Any]:
    """Its values, with finite numbers and strings of whole characters. Raises ValueError, in words for people."""
    try:
        values = _read(message if isinstance(message, str) else message.decode())
    except UnicodeError as error:
        raise ValueError(f"{what} must be JSON of whole characters: {error.reason}") from None  # type: ignore[attr-defined]
    except RecursionError:
        raise ValueError(f"{what} must be JSON: {_TOO_DEEP}") from None
    except ValueError as error:
        raise ValueError(f"{what} must be JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{what} must be a JSON object")
    return values


_TOO_DEEP = f"objects and lists may be nested {DEEPEST} deep"


def _read(text: str) -> Any:
    if len(text) > MOST_VALUES and sum(map(text.count, ",[{")) > MOST_VALUES:
        raise ValueError(f"it may hold {MOST_VALUES} values")
    if not text.isascii():
        text.encode()
    values = json.loads(text, parse_constant=_finite, parse_float=_finite)
    if _HALF_LETTER.search(text):
        json.dumps(values, ensure_ascii=False).encode()
    _check_depth(values)
    return values


def _check_depth(values: Any) -> None:
    level = [values] if isinstance(values, (dict, list)) else []
    for _ in range(DEEPEST):
        inside = (inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer))
        level = [inner for inner in inside if isinstance(inner, (dict, list))]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _finite(written: str) -> float:
    if not math.isfinite(value := float(written)):
        raise ValueError(f"{written} is not a number that JSON can hold")
    return value
