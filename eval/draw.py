"""The two lanes of one conversation: what sounds when, and how the agent met what the user did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.recording import Recording
from eval import instrument
from eval.svg import WIDTH, Axis, grid, line, rect, rule, svg, text, title

LABELS = 20  # seconds that are labelled, at most
LANE, GAP, TOP = 46, 18, 14  # heights; gap and top hold labels
BIN_SAMPLES = 480  # 20 ms a point, at most POINTS of them
POINTS = 700
FULL = 0.4  # amplitude that fills a lane
LEG_FILLS = ("#475569", "#94a3b8", "#cbd5e1")
TURNS = ("question", "interruption")
_USER, _AGENT = TOP, TOP + LANE + GAP  # where the lanes begin
_BOTTOM = _AGENT + LANE


def lanes(
    recording: Recording,
    met: Sequence[Mapping[str, Any]],
    label: str,
    seconds: float,
    waits: Sequence[Mapping[str, Any] | None] = (),
) -> str:
    """User lane above, agent lane below, on an axis of `seconds`.

    `met`: fields of `eval.measure.Met`; `waits`: of each of the user's turns, where the time until the answer went.
    """
    axis = Axis(0, seconds, 80, WIDTH - 10)
    step = max(1, -(-int(seconds) // LABELS))
    parts = [grid(axis, range(0, int(seconds) + 1, step), _BOTTOM, "s")]
    parts += _lane("user", "user", recording.user, _USER, axis)
    parts += _lane(label, "agent", recording.agent, _AGENT, axis)
    parts += [part for event in met for part in _event(event, axis)]
    turns = [event for event in met if event["kind"] in TURNS]
    parts += [p for turn, wait in zip(turns, waits, strict=False) if wait for p in _legs(turn, wait["legs_ms"], axis)]
    parts.append(line("playhead", axis.left, 0, _BOTTOM))
    per_second = (axis.right - axis.left) / seconds
    return svg(parts, _BOTTOM, f'class="lanes" data-per-second="{per_second:.2f}"', f"{label}: two lanes")


def _lane(name: str, kind: str, pcm: np.ndarray, top: int, axis: Axis) -> list[str]:
    middle = top + LANE // 2
    spans = [(s.begin / SAMPLE_RATE, s.end / SAMPLE_RATE) for s in instrument.speech(pcm)]
    shades = [rect(f"span {kind}", begin, end, top, LANE, axis) for begin, end in spans]
    wave = f'<path class="wave {kind}" d="{_envelope(pcm, middle, axis)}"/>'
    return [text("", 0, middle + 4, name), *shades, rule("grid", axis.left, axis.right, middle), wave]


def _envelope(pcm: np.ndarray, middle: float, axis: Axis) -> str:
    """The peak of every bin, mirrored: one closed path."""
    size = max(BIN_SAMPLES, -(-len(pcm) // POINTS))
    bins = pcm[: len(pcm) // size * size].reshape(-1, size)
    heights = np.minimum(np.abs(bins).max(axis=1, initial=0) / FULL, 1) * LANE / 2
    points = [(axis.x(i * size / SAMPLE_RATE), h) for i, h in enumerate(heights)]
    upper = [f"{x},{middle - h:.0f}" for x, h in points]
    lower = [f"{x},{middle + h:.0f}" for x, h in reversed(points)]
    return f"M{' '.join(upper + lower)}Z" if points else ""


def _event(event: Mapping[str, Any], axis: Axis) -> list[str]:
    """One thing that the user did, the agent's answer and its stop."""
    begin, end = (event[key] / SAMPLE_RATE for key in ("begin", "end"))
    parts = []
    if event["kind"] == "question":
        parts.append(line("user-end", axis.x(end), _USER, _BOTTOM))
    else:
        stopped = (
            "" if event["stop"] is None else f", stop {(event['stop'] - event['begin']) * 1000 / SAMPLE_RATE:.0f} ms"
        )
        parts.append(line("user-begin", axis.x(begin), _USER, _BOTTOM))
        parts.append(text("kind", axis.x(begin), TOP - 4, event["kind"] + stopped))
    if event["stop"] is not None:  # right for an interruption, wrong for all else
        kind = "yielded" if event["kind"] == "interruption" else "gave-way"
        parts.append(rect(kind, begin, event["stop"] / SAMPLE_RATE, _BOTTOM - 8, 8, axis))
    if event["answer"] is not None:
        parts += _wait(end, event["answer"] / SAMPLE_RATE, axis)
    return parts


def _wait(user_end: float, onset: float, axis: Axis) -> list[str]:
    """The time between the user's end and the answer: a gap, or an overlap where it is negative."""
    ms, x = (onset - user_end) * 1000, axis.x(onset)
    return [
        rect("overlap" if ms < 0 else "gap", min(user_end, onset), max(user_end, onset), _AGENT, LANE, axis),
        line("onset", x, _AGENT, _BOTTOM),
        text("label", x + 2, _AGENT - 4, f"{ms:+.0f} ms"),
    ]


def _legs(turn: Mapping[str, Any], legs_ms: Mapping[str, float | None], axis: Axis) -> list[str]:
    """The waterfall of one turn: where the wait went, leg after leg from the user's last sample on."""
    parts, now = [], turn["end"] / SAMPLE_RATE
    for i, (name, ms) in enumerate((name, ms) for name, ms in legs_ms.items() if ms):
        fill = f'fill="{LEG_FILLS[i % len(LEG_FILLS)]}"'
        leg = rect("leg", now, now + ms / 1000, _AGENT, 6, axis, fill)
        parts.append(f"<g>{leg}{title(f'{name}: {ms:.0f} ms')}</g>")
        now += ms / 1000
    return parts
