"""The page: report.html, complete in itself. Measures nothing: every number on it was in the scores."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sphn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from duplex.frame import SAMPLE_RATE
from duplex.recording import Recording
from eval import ledger_table
from eval.catalogue import METRICS
from eval.charts import Curve, DotRow, Wait, dots, still_talking, waterfall
from eval.draw import lanes
from eval.metrics.interruption import YIELD_WINDOW_MS
from eval.scenario import facts_of
from eval.sides import Side
from eval.table import COMPARED_NOTE, HEAD, compared, origin, rows

EMBEDDED_S = 600.0  # of sound in the page itself, about 9 MB; of each suite at least one conversation


def page(
    sides: Sequence[Side], summary: Mapping[str, Any], metrics: Mapping[str, Any], shared: Mapping[str, Any], out: Path
) -> str:
    """The whole page. Sound of each suite's first conversations is embedded as Opus, all others play from their
    WAVs, which are linked relative to `out`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        summary=summary,
        head=HEAD,
        rows=rows(summary["agents"]),
        origin=origin,
        percentile_head=("latency, ms", "agent", *PERCENTILES),
        groups=compared(metrics),
        compared_note=COMPARED_NOTE,
        distributions=[(title, Markup(drawing)) for title, drawing in _distributions(sides)],
        curves=_curves(sides),
        waterfall=_waterfall(sides),
        ledgers=[(s.label, ledger_table.tables(s.judged["ledger"])) for s in sides if s.judged.get("ledger")],
        percentiles=_percentile_rows(sides),
        tau=_tau_rows(sides),
        shared=shared,
        suites=_suites(sides, out),
        broken=[(side.label, b["recording"], b["why"]) for side in sides for b in side.judged["broken"]],
    )


# --- drawings ---------------------------------------------------------------------------------------------------------

LATENCIES = ("response_latency_ms", "ttfat_ms", "stop_latency_ms", "post_interrupt_latency_ms")


def _distributions(sides: Sequence[Side]) -> Iterator[tuple[str, str]]:
    """(title, drawing) of each latency that somebody has; wall clock beside stream clock where it is known."""
    for name in LATENCIES:
        made = [DotRow(f"{s.label}, stream", f"stream agent{i}", s.values(name)) for i, s in enumerate(sides)]
        if name == LATENCIES[0]:
            made += [
                DotRow(f"{s.label}, wall", f"wall agent{i}", [q.wall_latency_ms for q in s.scores])
                for i, s in enumerate(sides)
                if s.judged["pace"] == "realtime"
            ]
        if any(row.values_ms for row in made):
            yield METRICS[name].title, dots(made, METRICS[name].title)


def _curves(sides: Sequence[Side]) -> Markup | None:
    made = [Curve(s.label, f"agent{i}", s.values("stop_latency_ms")) for i, s in enumerate(sides)]
    return Markup(still_talking(made, round(YIELD_WINDOW_MS))) if any(c.stops_ms for c in made) else None


def _waterfall(sides: Sequence[Side]) -> Markup | None:
    """Medians of the stages of an answer, one after the other."""
    made = []
    for side in sides:
        stages = side.judged.get("ledger", {}).get("latency", {}).get("stages", {})
        made.append(Wait(side.label, [(name, f["p50"]) for name, f in stages.items() if f["n"]]))
    return Markup(waterfall(made)) if any(wait.stages_ms for wait in made) else None


PERCENTILES = ("p50", "p90", "p95", "p99", "max", "n", "missing")


def _percentile_rows(sides: Sequence[Side]) -> list[list[str]]:
    """Latency, agent, percentiles; P99 only where there are at least 100 values."""
    found = [(m, s.label, s.judged["spreads"][m]) for m in METRICS for s in sides if s.judged.get("spreads", {}).get(m)]
    return [
        [METRICS[metric].title, label, *("-" if spread[p] is None else f"{spread[p]:.0f}" for p in PERCENTILES)]
        for metric, label, spread in found
        if spread["n"] or spread["missing"]
    ]


def _tau_rows(sides: Sequence[Side]) -> list[list[str]]:
    names = dict.fromkeys(name for side in sides for name in side.judged.get("panels", {}).get("tau_voice", {}))
    return [[name, *(_tau_cell(side, name) for side in sides)] for name in names]


def _tau_cell(side: Side, name: str) -> str:
    found = side.judged["panels"]["tau_voice"][name]
    return f"hidden, n {found['n']}" if found["value"] is None else f"{found['value']:.4g}, n {found['n']}"


# --- conversations ----------------------------------------------------------------------------------------------------


def _suites(sides: Sequence[Side], out: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """(suite, its conversations): each with what every side made of it, all of a suite on one scale of seconds."""
    names = sorted({c["recording"] for side in sides for c in side.judged["conversations"]})
    suites: dict[str, list[str]] = {}
    for name in names:
        suites.setdefault(name.rpartition("-")[0] or "all", []).append(name)
    share_s = EMBEDDED_S / max(1, len(suites))
    return [(suite, _shown(sides, members, share_s, out)) for suite, members in suites.items()]


def _shown(sides: Sequence[Side], names: Sequence[str], embedded_s: float, out: Path) -> list[dict[str, Any]]:
    played = {(s.label, name): s.recording(name) for s in sides for name in names if name in s.conversations}
    seconds = max(len(recording.user) for recording in played.values()) / SAMPLE_RATE
    entries = []
    for i, name in enumerate(names):
        heard = [(s, played[s.label, name]) for s in sides if (s.label, name) in played]
        known = next((facts_of(r.meta) for _, r in heard if "facts" in r.meta), None)
        embedded = i == 0 or (i + 1) * len(sides) * seconds <= embedded_s
        answers = [_answer(side, name, recording, seconds, embedded, out) for side, recording in heard]
        entries.append({"name": name, "facts": known, "answers": answers})
    return entries


def _answer(side: Side, name: str, recording: Recording, seconds: float, embedded: bool, out: Path) -> dict[str, Any]:
    conversation, score = side.conversations[name], side.questions.get(name)
    wav = os.path.relpath(side.folder / f"{name}.wav", out)
    return {
        "label": side.label,
        "score": score,
        "text": recording.agent_text(),
        "told": [told(met) for met in conversation["met"]],
        "waits": [_wait_line(wait) for wait in conversation["waits"] if wait and wait["legs_ms"]],
        "doubts": conversation["doubts"],
        "lanes": Markup(lanes(recording, conversation["met"], side.label, seconds, conversation["waits"])),
        "sound": opus_uri(recording) if embedded else wav,
        "wav": wav,
    }


def _wait_line(wait: Mapping[str, Any]) -> str:
    legs = (f"{name.replace('_', ' ')} {ms:.0f}" for name, ms in wait["legs_ms"].items() if ms)
    return f"{' + '.join(legs)} ms on the {wait['clock']} clock"


def told(met: Mapping[str, Any]) -> str:
    """How one event was met, as a sentence without a full stop."""
    parts = [f"{met['kind']} at {met['begin'] / SAMPLE_RATE:.1f} s"]
    if met["stop"] is not None:
        parts.append(f"fell silent after {(met['stop'] - met['begin']) * 1000 / SAMPLE_RATE:.0f} ms")
    elif met["kind"] != "question" and not met["void"]:
        parts.append("went on talking")
    if met["answer"] is not None:
        ms = (met["answer"] - met["end"]) * 1000 / SAMPLE_RATE
        parts.append(f"answered {abs(ms):.0f} ms {'after' if ms >= 0 else 'before'} its end")
    elif met["kind"] in ("question", "interruption"):
        parts.append("gave no answer")
    if met["right"] is not None:
        parts.append("right" if met["right"] else "wrong")
    return ", ".join(parts)


def opus_uri(recording: Recording) -> str:
    """Both channels as one data: URI, about 15 kB a second."""
    n = min(len(recording.user), len(recording.agent))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.ogg"
        sphn.write_opus(str(path), np.stack([recording.user[:n], recording.agent[:n]]), SAMPLE_RATE)
        return "data:audio/ogg;base64," + base64.b64encode(path.read_bytes()).decode()
