"""The small table, once, for the terminal, the README and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = (
    "agent",
    "model",
    "n",
    "answered",
    "right",
    "stream p50",
    "stream p90",
    "wall p50",
    "wall p90",
)
METRIC_HEAD = ("metric", "unit", "n", "missing", "value", "95 %", "better")
METRIC_NOTE = "Definitions: eval/metrics. Latencies are medians on the stream clock; intervals are over conversations."
NOTE = (
    "Milliseconds from the user's last sample to the agent's first audible one. Stream: in the audio itself, compute "
    "not counted; wall: as heard in real time. Both include one frame of 80 ms (PLAYOUT_LAG) and are quantised by "
    "frames of 80 ms; onsets are found in hops of 10 ms. Percentiles are over answered questions, by linear "
    "interpolation; a missing answer is counted, never imputed. Right: of the answers that can be checked, those that "
    "hold an expected word."
)


def rows(agents: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row of cells for each agent's summary, in the order of HEAD."""
    return [_row(label, summary) for label, summary in agents.items()]


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", "---"] + ["---:"] * (len(head) - 2)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))


def metric_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row for each metric that has something to say, in the order of METRIC_HEAD."""
    return [
        [name, m["unit"], str(m["n"]), str(m["missing"]), _number(m["value"]), _interval(m["ci95"]), m["direction"]]
        for name, m in metrics.items()
        if m["n"] or m["missing"]
    ]


def origin(label: str, figures: Mapping[str, Any]) -> str:
    """One sentence: how an agent's figures came about."""
    wire = figures["wire"] if figures["wire"] == "in process" else f"over the {figures['wire']} wire"
    pace = "in real time" if figures["pace"] == "realtime" else "as fast as it goes"
    dirty = " with uncommitted changes" if figures["dirty"] else ""
    return f"{label}: {wire}, {pace}, {figures['machine']}, commit {(figures['commit'] or 'unknown')[:10]}{dirty}."


def _row(label: str, summary: Mapping[str, Any]) -> list[str]:
    stream, wall, right = summary["response_latency_ms"], summary["wall_latency_ms"], summary["right"]
    return [
        label,
        summary.get("model") or "",
        str(summary["n"]),
        f"{summary['answered']}/{summary['n']}",
        f"{right['right']}/{right['n']}" if right["n"] else "",
        *(_ms(spread[p]) for spread in (stream, wall) for p in ("p50", "p90")),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _interval(ci95: Sequence[float] | None) -> str:
    return "-" if ci95 is None else " to ".join(map(_number, ci95))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
