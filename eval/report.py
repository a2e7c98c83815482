"""From scored folders to one comparison: JSON, Markdown, CSV, and a page that works from a file, without a network."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.page import page
from eval.panels import distances
from eval.score import COMMON, SCHEMA
from eval.sides import Side, scores_of, sides_of
from eval.table import COMPARED_NOTE, NOTE, compared_markdown, csv_rows, origin


def compare(
    folders: Sequence[Path], out: Path, made: Mapping[str, Any], reference: Path | None = None
) -> dict[str, Any]:
    """Write summary.json, comparison.json, report.html, report.md and metrics.csv over the scored `folders` into `out`;
    returns the summary.

    `made` says how (command, date); `reference`: a scored folder, of two people say, to measure distances to.
    Raises ConfigError for a folder that was not scored, or two with one name.
    """
    sides = sides_of(folders)
    agents = {side.label: _figures(side.judged) for side in sides}
    summary = {"schema": SCHEMA, "made": dict(made), "note": NOTE, "agents": agents}
    metrics = {side.label: side.judged.get("metrics", {}) for side in sides}
    comparison = {"schema": SCHEMA, "made": dict(made), "origin": agents_origin(sides), "agents": metrics}
    spreads = {side.label: side.judged.get("spreads", {}) for side in sides}
    shared = _shared_time(sides, reference)
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / "comparison.json", comparison | {"spreads": spreads, "dgslm": shared})
    _write_json(out / "summary.json", summary)
    (out / "report.md").write_text(markdown_report(sides, metrics, made), encoding="utf-8")
    with (out / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(csv_rows(metrics))
    (out / "report.html").write_text(page(sides, summary, metrics, shared, out), encoding="utf-8")
    return summary


def markdown_report(sides: Sequence[Side], metrics: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """The table of all metrics, and where it comes from."""
    origins = [f"- {origin(side.label, side.judged)}" for side in sides]
    how = f"`{made['command']}`, {made['date']}."
    return "\n".join([compared_markdown(metrics), "", COMPARED_NOTE, "", *origins, f"- {how}", ""])


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _shared_time(sides: Sequence[Side], reference: Path | None) -> dict[str, Any]:
    """dGSLM's battery: side -> kind -> rates, and the distance to the reference where there is one."""
    known = {side.label: side.judged.get("panels", {}).get("dgslm", {}) for side in sides}
    against = scores_of(reference).get("panels", {}).get("dgslm", {}) if reference else {}
    found = {}
    for label, panel in known.items():
        far = distances(panel, against)
        found[label] = {
            kind: {k: v for k, v in rates.items() if k != "durations_ms"} | {"distance_s": far[kind]}
            for kind, rates in panel.items()
        }
    return found


def agents_origin(sides: Sequence[Side]) -> dict[str, Any]:
    """Where each side's figures come from."""
    return {side.label: {key: side.judged[key] for key in (*COMMON, "judge")} for side in sides}


def _figures(judged: Mapping[str, Any]) -> dict[str, Any]:
    return {key: judged[key] for key in COMMON} | judged["summary"] | {"broken": len(judged["broken"])}
