"""From a folder of Recordings to scores.json: one judgement a question, one summary an agent. Needs no agent, no GPU.

What cannot be judged (half written, one channel, another user than the scenario says) is listed with its reason and
counted in nothing. A question without an answer counts in `n` and in `missing`; no latency is ever made up for it.
A stereo sound file of whatever origin is judged by what both of its channels show (`eval.plain`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from duplex.config import ConfigError
from duplex.recording import NotARecording
from eval import instrument, panels
from eval.catalogue import METRICS
from eval.judge import Judged, Score, Unscorable, judge_all
from eval.ledger import ledger
from eval.measure import Measured, estimates
from eval.metrics.words import Transcriber
from eval.plain import recordings_in
from eval.provenance import provenance
from eval.statistics import spread

SCHEMA = 1
SHOWN = METRICS.keys() - {"deadline_miss_rate"}  # of each conversation; a value a tick is too much
COMMON = (
    *("agent", "model", "weights", "settings", "suite", "wire", "pace", "seed"),
    *("commit", "dirty", "machine", "versions"),
)

Across = Callable[[Callable[[Path], Any], Sequence[Path]], Iterable[Any]]


def score(folder: Path, transcribe: Transcriber | None = None, across: Across = map) -> dict[str, Any]:
    """Judge every recording in `folder` and write scores.json there. Raises NotARecording when there are none.

    `across` is map, or does in several processes what map does.
    """
    outcomes = list(across(partial(_outcome, transcribe=transcribe), recordings_in(folder)))
    judged = [one for one in outcomes if isinstance(one, Judged)]
    broken = [one for one in outcomes if not isinstance(one, Judged)]
    if not judged and not broken:
        raise NotARecording(f"{folder}: no recordings; make some with: python -m eval run --out {folder}")
    result = {
        "schema": SCHEMA,
        **{key: agreed(one.header.get(key) for one in judged) for key in COMMON},
        "judge": _judge(bool(transcribe)),
        "summary": summary([one.question for one in judged if one.question]),
        **_measured([one.found for one in judged]),
        "ledger": ledger([one.entry for one in judged if one.entry]),
        "broken": broken,
        "questions": [asdict(one.question) for one in judged if one.question],
        "conversations": [_conversation(one) for one in judged],
    }
    (folder / "scores.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def _judge(transcribed: bool) -> dict[str, Any]:
    """Who judged, and how: the code that did may be another than the one that recorded."""
    here = provenance()
    ear = {"gate": asdict(instrument.GATE), "version": instrument.VERSION}
    return {"ear": ear, "transcribed": transcribed, "commit": here["commit"], "dirty": here["dirty"]}


def _outcome(path: Path, transcribe: Transcriber | None) -> Judged | dict[str, str]:
    try:
        return judge_all(path, transcribe)
    except (NotARecording, ConfigError, Unscorable) as error:
        return {"recording": path.stem, "why": str(error)}


def _measured(found: Sequence[Measured]) -> dict[str, Any]:
    return {
        "metrics": {k: asdict(e) | {"ci95": e.ci95 and [*e.ci95]} for k, e in estimates(found).items()},
        "spreads": {k: spread(v for one in found for v in one.values.get(k, ())) for k in METRICS if k.endswith("_ms")},
        "void": dict(sum((one.void for one in found), Counter())),
        "panels": {
            "tau_voice": panels.tau([one.values for one in found]),
            "dgslm": panels.dgslm((one.user, one.agent, one.samples) for one in found),
        },
    }


def _conversation(one: Judged) -> dict[str, Any]:
    """What the page shows of it: values by metric, how each event was met, and where the wait for each answer went."""
    values = {k: [v if v is None else round(v, 3) for v in vs] for k, vs in one.found.values.items() if k in SHOWN}
    waits = (
        [wait and {"legs_ms": dict(wait.legs), "clock": wait.clock} for wait in one.entry.waits] if one.entry else []
    )
    met = [asdict(m) for m in one.found.met]
    return {"recording": one.name, "values": values, "met": met, "waits": waits, "doubts": [*one.doubts]}


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """One agent's figures."""
    answered = [s for s in scores if s.response_latency_ms is not None]
    checked = [s for s in scores if s.right is not None]
    stages = dict.fromkeys(stage for s in answered for stage in s.hops)
    return {
        "n": len(scores),
        "answered": len(answered),
        "missing": len(scores) - len(answered),
        "response_rate": round(len(answered) / len(scores), 3) if scores else None,
        "response_latency_ms": spread(s.response_latency_ms for s in scores),
        "wall_latency_ms": spread(s.wall_latency_ms for s in scores),
        "right": {"right": sum(s.right is True for s in checked), "n": len(checked)},
        "hops_ms": {stage: spread(s.hops.get(stage) for s in answered) for stage in stages},
    }


def agreed(values: Iterable[Any]) -> Any:
    """The value that all recordings share, or "mixed"; None without recordings."""
    distinct = {json.dumps(value, sort_keys=True): value for value in values}
    return next(iter(distinct.values()), None) if len(distinct) < 2 else "mixed"
