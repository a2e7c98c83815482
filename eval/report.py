"""From scored folders to one summary.json and one report.html that works from a file, without a network.

Measures nothing: every number on the page was in the scores.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sphn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from duplex.config import ConfigError
from duplex.frame import SAMPLE_RATE
from duplex.recording import Recording
from eval.draw import DotRow, dots, lanes
from eval.scenario import facts_of
from eval.score import COMMON, SCHEMA, Score
from eval.table import HEAD, NOTE, origin, rows


@dataclass(frozen=True, slots=True)
class Side:
    """One agent's side of the comparison: a scored folder under the name it has on the page."""

    label: str
    folder: Path
    judged: Mapping[str, Any]  # what its scores.json holds

    @property
    def scores(self) -> list[Score]:
        return [Score(**fields) for fields in self.judged["questions"]]

    def recording(self, score: Score) -> Recording:
        return Recording.open(self.folder / score.scenario)


def compare(folders: Sequence[Path], out: Path, made: Mapping[str, Any]) -> dict[str, Any]:
    """Write out/summary.json, out/comparison.json and out/report.html over the scored `folders`; returns the summary.

    `made` says how (command, date). Raises ConfigError for a folder that was not scored, or two with one name.
    """
    sides = sides_of(folders)
    agents = {side.label: _figures(side.judged) for side in sides}
    summary = {"schema": SCHEMA, "made": dict(made), "note": NOTE, "agents": agents}
    out.mkdir(parents=True, exist_ok=True)
    metrics = {side.label: side.judged.get("metrics", {}) for side in sides}
    comparison = {"schema": SCHEMA, "made": dict(made), "origin": agents_origin(sides), "agents": metrics}
    (out / "comparison.json").write_text(json.dumps(comparison, indent=1) + "\n", encoding="utf-8")
    (out / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.html").write_text(page(sides, summary, out), encoding="utf-8")
    return summary


def agents_origin(sides: Sequence[Side]) -> dict[str, Any]:
    """Where each side's figures come from."""
    return {side.label: {key: side.judged[key] for key in COMMON} for side in sides}


def sides_of(folders: Sequence[Path]) -> list[Side]:
    """Each folder under its agent's name, or under its own where two agents share one. Raises ConfigError."""
    judged = {folder: _scores(folder) for folder in folders}
    names = [j["agent"] for j in judged.values()]
    labels = [j["agent"] if names.count(j["agent"]) == 1 else f.resolve().name for f, j in judged.items()]
    if len(set(labels)) < len(folders):
        raise ConfigError(f"cannot tell these apart: {', '.join(map(str, folders))}; give the folders different names")
    return [Side(label, folder, j) for label, (folder, j) in zip(labels, judged.items(), strict=True)]


def _scores(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{folder}: no scores; make them with: python -m eval score {folder}") from None


def _figures(judged: Mapping[str, Any]) -> dict[str, Any]:
    return {key: judged[key] for key in COMMON} | judged["summary"] | {"broken": len(judged["broken"])}


def page(sides: Sequence[Side], summary: Mapping[str, Any], out: Path) -> str:
    """The whole page. Sound is embedded as Opus; the WAVs are linked relative to `out`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        summary=summary,
        head=HEAD,
        rows=rows(summary["agents"]),
        origin=origin,
        dots=Markup(dots([row for i, side in enumerate(sides) for row in _dot_rows(side, i)])),
        questions=_questions(sides, out),
        broken=[(side.label, b["recording"], b["why"]) for side in sides for b in side.judged["broken"]],
    )


def _dot_rows(side: Side, index: int) -> list[DotRow]:
    clocks = {"stream": "response_latency_ms", "wall": "wall_latency_ms"}
    if side.judged["pace"] != "realtime":
        del clocks["wall"]
    return [
        DotRow(f"{side.label}, {clock}", f"{clock} agent{index}", [getattr(s, field) for s in side.scores])
        for clock, field in clocks.items()
    ]


def _questions(sides: Sequence[Side], out: Path) -> list[dict[str, Any]]:
    """One entry a question, in order, with what each side made of it; all on one scale of seconds."""
    played = [(side, score, side.recording(score)) for side in sides for score in side.scores]
    seconds = max((len(recording.user) for _, _, recording in played), default=0) / SAMPLE_RATE
    entries: dict[str, dict[str, Any]] = {}
    for side, score, recording in played:
        facts = facts_of(recording.meta)
        entry = entries.setdefault(score.scenario, {"facts": facts, "answers": []})
        entry["answers"].append(
            {
                "label": side.label,
                "score": score,
                "lanes": Markup(lanes(recording, facts, score, side.label, seconds)),
                "sound": opus_uri(recording),
                "wav": os.path.relpath(side.folder / f"{score.scenario}.wav", out),
            }
        )
    return [entries[scenario] for scenario in sorted(entries)]


def opus_uri(recording: Recording) -> str:
    """Both channels as one data: URI, about 15 kB a second."""
    n = min(len(recording.user), len(recording.agent))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.ogg"
        sphn.write_opus(str(path), np.stack([recording.user[:n], recording.agent[:n]]), SAMPLE_RATE)
        return "data:audio/ogg;base64," + base64.b64encode(path.read_bytes()).decode()
