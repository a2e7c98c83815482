"""Drawings of many numbers: every latency as a dot, who still talks after an interruption, where a wait goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eval.svg import WIDTH, Axis, grid, line, rect, rule, svg, text, title

ROW, CURVE = 34, 200  # heights


class DotRow(NamedTuple):
    """One line of the latency picture."""

    label: str
    kind: str  # css class
    values_ms: Sequence[float | None]  # None: missing


def dots(rows: Sequence[DotRow], label: str = "latencies") -> str:
    """A dot for each latency, a bar at each p50, the missing counted."""
    values = [v for row in rows for v in row.values_ms if v is not None]
    low, high = min([0.0, *values]), max([500.0, *values])
    step = 250 if high - low <= 2750 else 500 if high - low <= 7000 else 2000
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    axis = Axis(low, high, 170, WIDTH - 130)
    parts = [grid(axis, range(low, high + 1, step), ROW * len(rows), "ms")]
    for i, row in enumerate(rows):
        parts += _dot_row(row, i * ROW + ROW // 2, axis)
    return svg(parts, ROW * len(rows), 'class="dots"', label)


class Curve(NamedTuple):
    """Of one agent."""

    label: str
    kind: str  # css class
    stops_ms: Sequence[float | None]  # of each interruption; None: it had not stopped when the window ended


def still_talking(curves: Sequence[Curve], window_ms: int) -> str:
    """The share of interruptions in which the agent still talks, by the time since the user began; a step a stop.

    What never falls to 0 has not stopped within the window.
    """
    axis = Axis(0, window_ms, 80, WIDTH - 220)
    parts = [grid(axis, range(0, window_ms + 1, 250), CURVE, "ms")]
    for share in (0, 50, 100):
        y = _height(share / 100)
        parts += [rule("grid", axis.left, axis.right, y), text("quiet right", axis.left - 8, y + 4, f"{share} %")]
    for i, curve in enumerate(curves):
        parts += _curve(curve, axis, i)
    return svg(parts, CURVE, 'class="curves"', "share of interruptions in which the agent still talks")


class Wait(NamedTuple):
    """One agent's typical answer: its stages in the order in which they are waited for."""

    label: str
    stages_ms: Sequence[tuple[str, float]]


def waterfall(waits: Sequence[Wait]) -> str:
    """Every stage begins where the one before it ends; stages that take nothing are left out."""
    rows = [(w.label, name, ms, before) for w in waits for name, ms, before in _stacked(w.stages_ms)]
    high = max([500.0, *(before + ms for _, _, ms, before in rows)])
    axis = Axis(0, math.ceil(high / 250) * 250, 230, WIDTH - 90)
    parts = [grid(axis, range(0, int(axis.high) + 1, 250), 22 * len(rows), "ms")]
    agents = [w.label for w in waits]
    for i, (agent, name, ms, before) in enumerate(rows):
        kind, y = f"bar agent{agents.index(agent)}", i * 22
        if i == 0 or rows[i - 1][0] != agent:
            parts.append(text(f"name agent{agents.index(agent)}", 0, y + 15, agent))
        parts.append(text("right", axis.left - 8, y + 15, name.replace("_", " ")))
        parts.append(rect(kind, before, before + ms, y + 4, 14, axis))
        parts.append(text("quiet", axis.x(before + ms) + 6, y + 15, f"{ms:.0f} ms"))
    return svg(parts, 22 * len(rows), 'class="waterfall"', "where the time of an answer goes")


def _stacked(stages_ms: Sequence[tuple[str, float]]) -> list[tuple[str, float, float]]:
    """(stage, ms, where it begins) of all that take at least half a millisecond."""
    out, now = [], 0.0
    for name, ms in stages_ms:
        if ms >= 0.5:
            out.append((name, ms, now))
            now += ms
    return out


def _curve(curve: Curve, axis: Axis, index: int) -> list[str]:
    n = len(curve.stops_ms)
    if not n:
        return []
    share = n
    path = f"M{axis.left},{_height(1)}"
    for stop_ms in sorted(max(0.0, s) for s in curve.stops_ms if s is not None):
        share -= 1
        path += f"H{axis.x(min(stop_ms, axis.high))}V{_height(share / n)}"
    path += f"H{axis.right}"
    words = f"{curve.label}: n = {n}, {share} went on"
    name = text(f"name {curve.kind}", axis.right + 8, 16 + 18 * index, words)
    return [f'<path class="curve {curve.kind}" d="{path}"/>', name]


def _height(share: float) -> float:
    return round(8 + (1 - share) * (CURVE - 8), 1)


def _dot_row(row: DotRow, y: int, axis: Axis) -> list[str]:
    present, n = [v for v in row.values_ms if v is not None], len(row.values_ms)
    missing = f", {n - len(present)} missing" if len(present) < n else ""
    parts = [text("", 0, y + 4, row.label), text("quiet right", WIDTH, y + 4, f"n = {n}{missing}")]
    for i, v in enumerate(present):
        middle = y + (i % 3 - 1) * 5  # so that equal values stay countable
        dot = f'class="{row.kind}" cx="{axis.x(v)}" cy="{middle}" r="4.5"'
        parts.append(f"<circle {dot}>{title(f'{v:.0f} ms')}</circle>")
    if present:
        parts.append(line("median", axis.x(float(np.median(present))), y - 13, y + 13))
    return parts
