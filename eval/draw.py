"""Inline SVG: the two lanes of one conversation, and latencies as dots. Knows recordings and numbers, not the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.recording import Recording
from duplex.turns import speech_spans
from eval.scenario import Facts
from eval.score import Score

LABELS = 20  # seconds that are labelled, at most
WIDTH = 1080  # of every drawing, in its own units
LANE, GAP = 46, 18  # heights; the gap holds the label
ROW = 34
BIN_SAMPLES = 480  # 20 ms a point
FULL = 0.4  # amplitude that fills a lane
HOP_FILLS = ("#475569", "#94a3b8", "#cbd5e1")


class Axis(NamedTuple):
    """Values from `low` to `high`, across [left, right]."""

    low: float
    high: float
    left: float
    right: float

    def x(self, value: float) -> float:
        return round(self.left + (value - self.low) * (self.right - self.left) / (self.high - self.low), 1)


def lanes(recording: Recording, facts: Facts, score: Score, label: str, seconds: float) -> str:
    """User lane above, agent lane below, on an axis of `seconds`."""
    axis, bottom = Axis(0, seconds, 80, WIDTH - 10), 2 * LANE + GAP
    step = max(1, -(-int(seconds) // LABELS))
    parts = [_grid(axis, range(0, int(seconds) + 1, step), bottom, "s")]
    parts += _lane("user", "user", recording.user, 0, axis)
    parts += _lane(label, "agent", recording.agent, LANE + GAP, axis)
    user_end = facts.user_end_sample / SAMPLE_RATE
    parts.append(_line("user-end", axis.x(user_end), 0, bottom))
    if score.onset_sample is not None:
        parts += _wait(user_end, score.onset_sample / SAMPLE_RATE, axis)
    parts += _hops(score.hops, user_end, axis, bottom)
    parts.append(_line("playhead", axis.left, 0, bottom))
    per_second = (axis.right - axis.left) / seconds
    return _svg(parts, bottom, f'class="lanes" data-per-second="{per_second:.2f}"', f"{label}: {facts.text}")


class DotRow(NamedTuple):
    """One line of the latency picture."""

    label: str
    kind: str  # css class
    values_ms: Sequence[float | None]  # None: missing


def dots(rows: Sequence[DotRow]) -> str:
    """A dot for each latency, a bar at each p50, the missing counted."""
    values = [v for row in rows for v in row.values_ms if v is not None]
    low = math.floor(min([0.0, *values]) / 250) * 250
    high = math.ceil(max([500.0, *values]) / 250) * 250
    axis = Axis(low, high, 170, WIDTH - 130)
    step = 250 if high - low <= 3000 else 1000
    parts = [_grid(axis, range(low, high + 1, step), ROW * len(rows), "ms")]
    for i, row in enumerate(rows):
        parts += _dot_row(row, i * ROW + ROW // 2, axis)
    return _svg(parts, ROW * len(rows), 'class="dots"', "response latencies")


def _dot_row(row: DotRow, y: int, axis: Axis) -> list[str]:
    present, n = [v for v in row.values_ms if v is not None], len(row.values_ms)
    missing = f", {n - len(present)} missing" if len(present) < n else ""
    parts = [_text("", 0, y + 4, row.label), _text("quiet right", WIDTH, y + 4, f"n = {n}{missing}")]
    for i, v in enumerate(present):
        middle = y + (i % 3 - 1) * 5  # so that equal values stay countable
        dot = f'class="{row.kind}" cx="{axis.x(v)}" cy="{middle}" r="4.5"'
        parts.append(f"<circle {dot}>{_title(f'{v:.0f} ms')}</circle>")
    if present:
        parts.append(_line("median", axis.x(float(np.median(present))), y - 13, y + 13))
    return parts


def _lane(name: str, kind: str, pcm: np.ndarray, top: int, axis: Axis) -> list[str]:
    middle = top + LANE // 2
    spans = [(s.begin / SAMPLE_RATE, s.end / SAMPLE_RATE) for s in speech_spans(pcm)]
    shades = [_rect(f"span {kind}", begin, end, top, LANE, axis) for begin, end in spans]
    rule = f'<line class="grid" x1="{axis.left}" x2="{axis.right}" y1="{middle}" y2="{middle}"/>'
    wave = f'<path class="wave {kind}" d="{_envelope(pcm, middle, axis)}"/>'
    return [_text("", 0, middle + 4, name), *shades, rule, wave]


def _envelope(pcm: np.ndarray, middle: float, axis: Axis) -> str:
    """The peak of every bin, mirrored: one closed path."""
    bins = pcm[: len(pcm) // BIN_SAMPLES * BIN_SAMPLES].reshape(-1, BIN_SAMPLES)
    heights = np.minimum(np.abs(bins).max(axis=1, initial=0) / FULL, 1) * LANE / 2
    points = [(axis.x(i * BIN_SAMPLES / SAMPLE_RATE), h) for i, h in enumerate(heights)]
    upper = [f"{x},{middle - h:.1f}" for x, h in points]
    lower = [f"{x},{middle + h:.1f}" for x, h in reversed(points)]
    return f"M{' '.join(upper + lower)}Z" if points else ""


def _wait(user_end: float, onset: float, axis: Axis) -> list[str]:
    """The time between the user's end and the answer: a gap, or an overlap where it is negative."""
    ms, top, x = (onset - user_end) * 1000, LANE + GAP, axis.x(onset)
    return [
        _rect("overlap" if ms < 0 else "gap", min(user_end, onset), max(user_end, onset), top, LANE, axis),
        _line("onset", x, top, top + LANE),
        _text("label", x, top - 4, f"{ms:+.0f} ms"),
    ]


def _hops(hops: Mapping[str, float], user_end: float, axis: Axis, bottom: int) -> list[str]:
    """When each stage was done, in order of time, as a thin bar on the axis."""
    parts, before = [], 0.0
    for i, (stage, ms) in enumerate(hops.items()):
        fill = f'fill="{HOP_FILLS[i % len(HOP_FILLS)]}"'
        leg = _rect("hop", user_end + before / 1000, user_end + ms / 1000, bottom - 5, 5, axis, fill)
        parts.append(f"<g>{leg}{_title(f'{stage}: {ms:.0f} ms')}</g>")
        before = ms
    return parts


def _grid(axis: Axis, marks: Sequence[int], bottom: int, unit: str) -> str:
    lines = [_line("grid", axis.x(m), 0, bottom) for m in marks]
    return "".join(lines + [_text("quiet middle", axis.x(m), bottom + 15, f"{m} {unit}") for m in marks])


def _rect(kind: str, begin: float, end: float, top: int, height: int, axis: Axis, more: str = "") -> str:
    width = round(axis.x(end) - axis.x(begin), 1)
    return f'<rect class="{kind}" x="{axis.x(begin)}" y="{top}" width="{width}" height="{height}" {more}/>'


def _line(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _svg(parts: Sequence[str], bottom: int, attributes: str, label: str) -> str:
    box = f'viewBox="0 -2 {WIDTH} {bottom + 22}"'
    return f'<svg {box} role="img" aria-label="{escape(label)}" {attributes}>{"".join(parts)}</svg>'
