"""The two ledgers as tables for a terminal or a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.latency import TARGETS

TOKEN_HEAD = ("tokens", "unit", "heard", "generated", "played", "silent", "thrown away", "predicted", "gap")
TOKEN_NOTE = (
    "Predicted: of what was generated (stt: heard), by eval/budget.py for the same conversation, where all that is "
    "made is heard; gap: measured less predicted. A dash is unknown, or nothing that such tokens have."
)
LATENCY_HEAD = ("stage", "of", "n", "p50", "p90")
LATENCY_NOTE = (
    "Milliseconds. Answer: what each stage adds between the user's last sample and the agent's first audible one; what "
    "is done while an earlier stage is waited for adds nothing. Tick: of every 80 ms. Parts' percentiles do not add up "
    "to the whole's: the residual is the whole less all parts, answer by answer."
)


@dataclass(frozen=True, slots=True)
class Cells:
    """A table, ready to be drawn."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]  # in the order of head
    notes: Sequence[str]  # one sentence or more each


def tables(ledger: Mapping[str, Any]) -> list[Cells]:
    """What `eval.ledger.ledger` made; a table without rows is left out."""
    tokens, latency = ledger["tokens"], ledger["latency"]
    made = [
        Cells("tokens", TOKEN_HEAD, token_rows(tokens), [TOKEN_NOTE, *thrown_notes(tokens)]),
        Cells("latency", LATENCY_HEAD, latency_rows(latency), [LATENCY_NOTE, *latency_notes(latency)]),
    ]
    return [table for table in made if table.rows]


def token_rows(tokens: Mapping[str, Any]) -> list[list[str]]:
    return [_flow_row(name, flow) for name, flow in tokens["flows"].items()]


def thrown_notes(tokens: Mapping[str, Any]) -> list[str]:
    """Why what was thrown away, and what is missing in the account."""
    notes = [
        f"Thrown away, {why}: {lost['voiced_ms'] / 1000:.1f} s of sound, {lost['pieces']} pieces of text, "
        f"{lost['heard_ms'] / 1000:.1f} s transcribed."
        for why, lost in tokens["thrown_by"].items()
    ]
    missing = tokens["open_answers"]
    return notes + ([f"Not in the account: {missing} answers in the making when a recording ended."] if missing else [])


def latency_rows(latency: Mapping[str, Any]) -> list[list[str]]:
    if not latency["n"]:
        return []
    whole = [("residual", latency["residual"]), ("voice to voice", latency["total"])]
    answer = [*latency["stages"].items(), *whole]
    ticks = latency["ticks"]["stages"].items()
    return [_stage_row(stage, of, found) for of, part in (("answer", answer), ("tick", ticks)) for stage, found in part]


def latency_notes(latency: Mapping[str, Any]) -> list[str]:
    """The clock, the slowest, the misses, the targets."""
    ticks = latency["ticks"]
    slowest = [f"{latency['slowest']} of an answer"] if latency["slowest"] else []
    slowest += [f"{ticks['slowest']} of a tick"] if ticks["slowest"] else []
    notes = [f"Clock: {latency['clock']}. Slowest: {', '.join(slowest)}."] if slowest else []
    if misses := ticks["misses"]:
        notes.append(f"Ticks over 80 ms: {misses['missed']} of {misses['n']}, by the {misses['clock']}.")
    return notes + [
        _target_note(name, latency["targets"][name]) for name in TARGETS if latency["targets"][name]["asked"]
    ]


def _flow_row(name: str, flow: Mapping[str, Any]) -> list[str]:
    compared = "generated" if flow["generated"] is not None or flow["heard"] is None else "heard"
    amounts = [flow[key] for key in ("heard", "generated", "played", "silent", "thrown_away")]
    gap = flow["gap"][compared]
    told = [_amount(flow["predicted"][compared]), "-" if gap is None else ("+" if gap > 0 else "") + _amount(gap)]
    return [name, flow["unit"], *map(_amount, amounts), *told]


def _stage_row(stage: str, of: str, found: Mapping[str, Any]) -> list[str]:
    if not found["n"]:
        return [stage, of, "0", "not recorded", ""]
    return [stage, of, str(found["n"]), f"{found['p50']:.1f}", f"{found['p90']:.1f}"]


def _target_note(name: str, target: Mapping[str, Any]) -> str:
    verdict = "met" if target["met"] else "missed"
    within = round(target["share"] * target["asked"])
    return f"{name.replace('_', ' ')} within {target['limit_ms']:g} ms: {within} of {target['asked']}, {verdict}."


def _amount(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:,.0f}" if isinstance(amount, int) else f"{amount:,.1f}"
