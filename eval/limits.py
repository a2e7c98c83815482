"""Limits given on the command line, such as response_latency_ms<=800: a script asks whether an agent keeps them."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from duplex.config import ConfigError
from eval.catalogue import METRICS

_HOLDS = {"<=": operator.le, ">=": operator.ge}


class Limit(NamedTuple):
    metric: str
    sign: str  # a key of _HOLDS
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.value:g}"


def limit(text: str) -> Limit:
    """ "yield_rate>=0.9" -> Limit. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
    if not found:
        raise ConfigError(f"a limit is METRIC<=NUMBER or METRIC>=NUMBER, got {text!r}")
    name, sign, number = found.groups()
    if name not in METRICS:
        raise ConfigError(f"no metric {name!r}; known: {', '.join(METRICS)}")
    try:
        return Limit(name, sign, float(number))
    except ValueError:
        raise ConfigError(f"{text!r}: {number!r} is not a number") from None


def missed(limits: Iterable[Limit], metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each limit that is not kept; what has no value keeps none."""
    out = []
    for each in limits:
        value = metrics[each.metric]["value"]
        if value is None:
            out.append(f"{each}: nothing was measured")
        elif not _HOLDS[each.sign](value, each.value):
            out.append(f"{each}: it is {value:g}, n {metrics[each.metric]['n']}")
    return out
