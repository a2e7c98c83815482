"""Full-Duplex-Bench's own numbers over a scored folder, under the key "fdb" of its scores.json.

Beside them, task by task, what the strict metrics say of the same recordings.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from duplex.config import ConfigError
from duplex.recording import NotARecording
from eval.fdb.ears import Ears
from eval.fdb.files import BadSample
from eval.fdb.judge import judge
from eval.fdb.outputs import opened
from eval.fdb.samples import Task
from eval.measure import Measured, estimates, measure
from eval.metrics import fdb
from eval.scenario import facts_of

# A number of FDB -> (its unit, what it is the mean of: a key of what `judge` finds)
MEANS: Mapping[str, tuple[str, str]] = {
    "tor": ("share of clips", "tor"),
    "latency_s": ("s", "latency_s"),
    "freq_per_s": ("1/s", "freq_per_s"),
    "jsd": ("nats", "jsd"),
    "stop_s": ("s", "latency_stop_list"),
    "response_s": ("s", "latency_resp_list"),
}


class Judged(NamedTuple):
    """One recording."""

    found: Mapping[str, Any]  # by FDB's definitions
    measured: Measured  # by ours


def add_fdb(folder: Path, strict: Mapping[str, Any], ears: Ears) -> dict[str, Any]:
    """Judge the recordings that `strict`, the scores of `folder`, could judge; add to scores.json and return that.

    Raises ConfigError when none of them is of an FDB sample.
    """
    by_task, broken = _judged(folder, {one["recording"] for one in strict["broken"]}, ears)
    if not by_task and not broken:
        raise ConfigError(f"{folder}: no whole recordings of --suite fdb:FOLDER, which --fdb-compat is for")
    added = {
        "version": fdb.VERSION,
        "words": ears.words_from,
        "tasks": {task: _summary(by_task[task]) for task in sorted(by_task)},
        "defects": dict(fdb.DEFECTS),
        "broken": broken,
        "samples": [one.found for task in sorted(by_task) for one in by_task[task]],
    }
    text = json.dumps({**strict, "fdb": added}, indent=2, ensure_ascii=False)
    (folder / "scores.json").write_text(text + "\n", encoding="utf-8")
    return added


def _judged(
    folder: Path, skip: Collection[str], ears: Ears
) -> tuple[Mapping[Task, Sequence[Judged]], list[dict[str, str]]]:
    """By task; and those that could not be judged, with the reason."""
    by_task, broken = defaultdict(list), []
    for path in sorted(p for p in folder.glob("*.jsonl") if p.stem not in skip):
        try:
            recording, sample = opened(path)
            of = {"scenario": path.stem, "sample": sample.path, "task": sample.task}
            one = Judged(of | judge(recording, sample, ears), measure(recording, facts_of(recording.meta)))
            by_task[sample.task].append(one)
        except NotARecording:
            continue  # it is of another suite
        except (BadSample, ConfigError) as error:
            broken.append({"recording": path.stem, "why": str(error)})
    return by_task, broken


def _summary(judged: Sequence[Judged]) -> dict[str, Any]:
    """Of one task: {n, NAME: {value, n, unit}, ..., strict: {METRIC: an Estimate}}."""
    ours = estimates([one.measured for one in judged])
    theirs = {
        name: _mean([number for one in judged for number in _numbers(one.found[key])], unit)
        for name, (unit, key) in MEANS.items()
        if key in judged[0].found
    }
    return {
        "n": len(judged),
        **theirs,
        "strict": {name: asdict(one) for name, one in ours.items() if one.n or one.missing},
    }


def _numbers(found: float | Sequence[tuple[float, float]] | None) -> list[float]:
    """None: this clip does not count; intervals count each."""
    if found is None:
        return []
    return [found] if isinstance(found, (int, float)) else [end - begin for begin, end in found]


def _mean(values: Sequence[float], unit: str) -> dict[str, Any]:
    return {"value": round(sum(values) / len(values), 4) if values else None, "n": len(values), "unit": unit}
