"""Inline SVG in a few words. Every drawing is WIDTH units wide; text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 1080


class Axis(NamedTuple):
    """Values from `low` to `high`, across [left, right]."""

    low: float
    high: float
    left: float
    right: float

    def x(self, value: float) -> float:
        return round(self.left + (value - self.low) * (self.right - self.left) / (self.high - self.low), 1)


def grid(axis: Axis, marks: Sequence[int], bottom: int, unit: str) -> str:
    lines = [line("grid", axis.x(m), 0, bottom) for m in marks]
    return "".join(lines + [text("quiet middle", axis.x(m), bottom + 15, f"{m} {unit}") for m in marks])


def rect(kind: str, begin: float, end: float, top: float, height: float, axis: Axis, more: str = "") -> str:
    width = round(axis.x(end) - axis.x(begin), 1)
    return f'<rect class="{kind}" x="{axis.x(begin)}" y="{top}" width="{width}" height="{height}" {more}/>'


def line(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def rule(kind: str, left: float, right: float, y: float) -> str:
    return f'<line class="{kind}" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'


def text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>'


def title(words: str) -> str:
    return f"<title>{escape(words)}</title>"


def svg(parts: Sequence[str], bottom: float, attributes: str, label: str) -> str:
    box = f'viewBox="0 -2 {WIDTH} {bottom + 22}"'
    return f'<svg {box} role="img" aria-label="{escape(label)}" {attributes}>{"".join(parts)}</svg>'
