"""Rows of the table: a value, how many trials stand behind it, its bound, and every miss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Literal

from eval.table import markdown

HEAD = ("what", "n", "value", "95 %", "at least", "ok", "beside it")


@dataclass(frozen=True, slots=True)
class Miss:
    """One trial that went wrong, or (void) says nothing."""

    trial: str
    asked: str
    expected: str
    heard: str
    why: str
    void: bool = False
    about: str = ""  # who asked, through what


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. A row without a bound is there to be read, not to be passed."""

    what: str
    value: float | None
    unit: Literal["%", "ms", "a minute", "MOS", ""]
    n: int
    bound: tuple[Literal[">=", "<="], float] | None = None
    interval: tuple[float, float] | None = None  # 95 %, of a share
    note: str = ""
    misses: tuple[Miss, ...] = ()

    @property
    def ok(self) -> bool | None:
        """None without a bound. No value where there is a bound is a failure."""
        if self.bound is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.bound[1] if self.bound[0] == ">=" else self.value <= self.bound[1]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ok": self.ok}


def rate(
    what: str, hits: int, n: int, bound: tuple[Literal[">=", "<="], float] | None, note: str, misses: Sequence[Miss]
) -> Row:
    """A share in per cent, with its interval."""
    value = round(100 * hits / n, 1) if n else None
    return Row(what, value, "%", n, bound, wilson(hits, n), note, tuple(misses))


def wilson(hits: int, n: int) -> tuple[float, float] | None:
    """95 % interval of a share, in per cent (Wilson's score)."""
    if not n:
        return None
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return round(100 * max(low, 0.0), 1), round(100 * min(high, 1.0), 1)


def as_markdown(rows: Sequence[Row], head: Mapping[str, Any]) -> str:
    """The table, how it came about, and every miss."""
    lines = [f"- {key}: {value}" for key, value in head.items()]
    table = markdown(HEAD, [cells(row) for row in rows])
    misses = [line for row in rows if row.misses for line in (f"\n### {row.what}\n", *map(_line, row.misses))]
    return "\n".join(["# nano, checked", "", *lines, "", table, "", "## Misses", *misses, ""])


def cells(row: Row) -> list[str]:
    """In the order of HEAD."""
    value = "None" if row.value is None else f"{row.value:g} {row.unit}".strip()
    between = f"{row.interval[0]:g} to {row.interval[1]:g}" if row.interval else ""
    bound = f"{row.bound[0]} {row.bound[1]:g}" if row.bound else ""
    return [row.what, str(row.n), value, between, bound, {True: "ok", False: "NOT OK", None: ""}[row.ok], row.note]


def _line(miss: Miss) -> str:
    parts = [f"`{miss.trial}` {'void: ' if miss.void else ''}{miss.why}", f'asked "{miss.asked}"']
    parts += [f'expected "{miss.expected}"'] if miss.expected else []
    parts += [f'heard "{miss.heard}"', miss.about]
    return "- " + "; ".join(part for part in parts if part)
