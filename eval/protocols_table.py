"""The table of what each protocol costs, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.table import cell, markdown

HEAD = (
    *("agent", "wire", "answered, % of turns", "than pcm"),
    *("first audio, ms", "p95", "than pcm", "stop, ms", "p95", "than pcm"),
)
NOTE = (
    "Milliseconds on the wall clock at the client: first audio from the user's last sample, a stop from his first to "
    "the agent's last audible one. Medians with 95 % bootstrap intervals over conversations; what is missing is "
    "counted, never imputed. Than pcm: medians (of answered: means) of the differences to the same turn over our own "
    "wire, n of turns that both have. An interruption that did not fall into the agent's speech says nothing of stops."
)


def report(result: Mapping[str, Any]) -> str:
    """The table, and where it comes from."""
    origins = [
        f"- {agent}: {', '.join(origin['suites'])}; {origin['machine']}, commit {(origin['commit'] or 'unknown')[:10]}"
        + (" with uncommitted changes" if origin["dirty"] else "")
        for agent, origin in result["origin"].items()
    ]
    how = f"- `{result['made']['command']}`, {result['made']['date']}."
    return "\n".join([markdown(HEAD, rows(result["agents"])), "", NOTE, "", *origins, how, ""])


def rows(agents: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row for each agent and wire, in the order of HEAD."""
    return [
        [
            agent,
            wire,
            *_beside(figures["response_rate"]),
            *_times(figures["response_latency_ms"]),
            *_times(figures["stop_latency_ms"]),
        ]
        for agent, wires in agents.items()
        for wire, figures in wires.items()
    ]


def _beside(figure: Mapping[str, Any]) -> list[str]:
    return [cell(figure), cell(figure["beyond"])]


def _times(figure: Mapping[str, Any]) -> list[str]:
    value, beyond = _beside(figure)
    p95 = figure["spread"]["p95"]
    return [value, "-" if p95 is None else f"{p95:.0f}", beyond]
