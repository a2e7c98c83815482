"""From a folder of Recordings to scores.json: one judgement a question, one summary an agent. Needs no agent, no GPU.

What cannot be judged (half written, not ours, another user than the scenario says) is listed with its reason and
counted in nothing. A question without an answer counts in `n` and in `missing`; no latency is ever made up for it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duplex.config import ConfigError
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.recording import NotARecording, Recording
from duplex.turns import speech_spans
from eval.measure import estimates, measure
from eval.metrics.hops import hops
from eval.metrics.response import response
from eval.metrics.words import Transcriber, holds_word, transcript_of
from eval.scenario import Facts, facts_of, is_whole

SCHEMA = 1
STANDS_OUT_DB = 6.0
USER_TOLERANCE_MS = 100.0  # between the user's end in the header and in the audio
COMMON = ("agent", "model", "settings", "suite", "wire", "pace", "seed", "commit", "dirty", "machine", "versions")


class Unscorable(Exception):
    """A recording that says nothing about the agent; the message says why."""


@dataclass(frozen=True, slots=True)
class Score:
    """One question, judged. Times in ms from the user's last sample; None: no answer (or no times were recorded)."""

    scenario: str
    text: str  # what was asked
    response_latency_ms: float | None
    wall_latency_ms: float | None
    onset_sample: int | None
    reply_text: str  # the agent's own text stream
    transcript: str | None  # of the agent's audio; None: not transcribed
    right: bool | None  # holds an expected word; None: nothing to check, or no answer
    hops: Mapping[str, float]


def score(folder: Path, transcribe: Transcriber | None = None) -> dict[str, Any]:
    """Judge every recording in `folder` and write scores.json there. Raises NotARecording when there are none."""
    headers, scores, shown, broken = [], [], [], []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            recording = Recording.open(path)
            facts = facts_of(recording.meta)
            check(recording, facts)
            if any(event.kind == "question" for event in facts.happens):
                scores.append(judge(recording, facts, transcribe))
            shown.append(measure(recording, facts, transcribe))
            headers.append(recording.meta)
        except (NotARecording, ConfigError, Unscorable) as error:
            broken.append({"recording": path.stem, "why": str(error)})
    if not shown and not broken:
        raise NotARecording(f"{folder}: no recordings; make some with: python -m eval run --out {folder}")
    result = {
        "schema": SCHEMA,
        **{key: agreed(header.get(key) for header in headers) for key in COMMON},
        "summary": summary(scores),
        "metrics": {k: asdict(e) | {"ci95": e.ci95 and [*e.ci95]} for k, e in estimates(shown).items()},
        "void": dict(sum((one.void for one in shown), Counter())),
        "broken": broken,
        "questions": [asdict(s) for s in scores],
    }
    (folder / "scores.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def judge(recording: Recording, facts: Facts, transcribe: Transcriber | None = None) -> Score:
    """One recording's first question."""
    found = response(recording, facts.user)
    transcript = transcript_of(recording.agent, transcribe) if transcribe else None
    reply = recording.agent_text()
    said = reply if transcript is None else transcript
    return Score(
        scenario=recording.meta.get("scenario", ""),
        text=facts.text,
        response_latency_ms=found and round(found.latency_ms, 1),
        wall_latency_ms=None if not found or found.wall_latency_ms is None else round(found.wall_latency_ms, 1),
        onset_sample=found and found.span.begin,
        reply_text=reply,
        transcript=transcript,
        right=holds_word(said, facts.expect) if facts.expect and found else None,
        hops=hops(recording, found.span.begin) if found else {},
    )


def check(recording: Recording, facts: Facts) -> None:
    """Raise Unscorable when the recording is cut short, or its user is not the one that the facts describe."""
    if not is_whole(recording, facts):
        raise Unscorable(f"cut short: {len(recording.ticks)} ticks of {-(-facts.samples // FRAME_SAMPLES)}")
    if facts.events:
        return _check_events(recording, facts)
    heard = speech_spans(recording.user)
    if not heard:
        raise Unscorable("the user's channel is silent")
    off_ms = (heard[-1].end - facts.user_end_sample) * 1000 / SAMPLE_RATE
    if abs(off_ms) > USER_TOLERANCE_MS:
        raise Unscorable(f"the user ends {off_ms:+.0f} ms from where the scenario says")


def _check_events(recording: Recording, facts: Facts) -> None:
    """Every event that should be heard well stands out of the moment before the first."""
    floor_db = _level_db(recording.user[: facts.events[0].begin])
    for event in facts.events:
        if event.kind in ("question", "interruption", "backchannel"):
            over_db = _level_db(recording.user[event.begin : event.end]) - floor_db
            if over_db < STANDS_OUT_DB:
                raise Unscorable(f"the user is not heard at {event.begin / SAMPLE_RATE:.1f} s, where the scenario says")


def _level_db(pcm: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-12))


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
        "response_latency_ms": spread(s.response_latency_ms for s in answered),
        "wall_latency_ms": spread(s.wall_latency_ms for s in answered),
        "right": {"right": sum(s.right is True for s in checked), "n": len(checked)},
        "hops_ms": {stage: spread(s.hops.get(stage) for s in answered) for stage in stages},
    }


def spread(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """{p50, p90, n} of the values that are there; percentiles by linear interpolation, None when there are none."""
    present = [v for v in values if v is not None]
    p50, p90 = np.percentile(present, (50, 90)).round(1).tolist() if present else (None, None)
    return {"p50": p50, "p90": p90, "n": len(present)}


def agreed(values: Iterable[Any]) -> Any:
    """The value that all recordings share, or "mixed"; None without recordings."""
    distinct = {json.dumps(value, sort_keys=True): value for value in values}
    return next(iter(distinct.values()), None) if len(distinct) < 2 else "mixed"
