"""The small table, once, for the terminal, the README and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.catalogue import GROUPS, METRICS

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
SHARE = "share of"  # how the unit of a share begins
COMPARED_NOTE = (
    "\u2191 more is better, \u2193 less is better. Latencies are medians in ms on the stream clock: the compute of an "
    "engine costs nothing in it as long as it keeps its ticks, a cascade pays for its own in frames. Intervals are "
    "95 % bootstraps over conversations; what is missing is counted and never imputed. Definitions: eval/metrics."
)
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


def compared(sides: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[tuple[str, list[list[str]]]]:
    """(group, rows) over agent -> metric -> estimate: title, unit, then a cell for each agent.

    Metrics that say nothing of any agent are left out.
    """
    groups = []
    for group, names in GROUPS.items():
        told = [name for name in names if any(_tells(metrics.get(name)) for metrics in sides.values())]
        body = [
            [_title(name), METRICS[name].unit.replace(SHARE, "% of"), *(cell(m.get(name)) for m in sides.values())]
            for name in told
        ]
        groups += [(group, body)] if body else []
    return groups


def compared_markdown(sides: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    body = [row for _, rows in compared(sides) for row in rows]
    return markdown(("metric", "unit", *sides), body)


def cell(metric: Mapping[str, Any] | None) -> str:
    """Value, interval, n and what is missing: "280 (240 to 320), n 40, 3 missing"; shares in percent."""
    if not _tells(metric) or metric is None:
        return "-"
    scale = 100.0 if metric["unit"].startswith(SHARE) else 1.0  # a share is shown in percent
    value = _number(metric["value"] and metric["value"] * scale)
    interval = f" ({_interval([scale * edge for edge in metric['ci95']])})" if metric["ci95"] else ""
    missing = f", {metric['missing']} missing" if metric["missing"] else ""
    return f"{value}{interval}, n {metric['n']}{missing}"


def csv_rows(sides: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[list[Any]]:
    """A head and one row for each agent and metric, for a spreadsheet."""
    head = ["agent", "metric", "value", "unit", "n", "missing", "ci95_low", "ci95_high", "direction", "version"]
    body = []
    for agent, metrics in sides.items():
        for name, m in metrics.items():
            low, high = m["ci95"] or ("", "")
            value = "" if m["value"] is None else m["value"]
            body.append([agent, name, value, m["unit"], m["n"], m["missing"], low, high, m["direction"], m["version"]])
    return [head, *body]


def _tells(metric: Mapping[str, Any] | None) -> bool:
    return metric is not None and bool(metric["n"] or metric["missing"])


def _title(name: str) -> str:
    arrow = {"up": " \u2191", "down": " \u2193", "none": ""}[METRICS[name].direction]
    return METRICS[name].title + arrow


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
