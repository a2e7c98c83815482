"""From a folder of Recordings to scores.json: one judgement a question, one summary an agent. Needs no agent, no GPU.

What cannot be judged (half written, one channel, another user than the scenario says) is listed with its reason and
counted in nothing. A question without an answer counts in `n` and in `missing`; no latency is ever made up for it.
A stereo sound file of whatever origin is judged by what both of its channels show (`eval.plain`).
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
from eval import instrument, panels
from eval.catalogue import METRICS
from eval.fdb.samples import HEADER
from eval.ledger import Entry, entry, ledger
from eval.measure import Measured, estimates, measure, measure_plain
from eval.metrics.hops import hops
from eval.metrics.response import response
from eval.metrics.words import Transcriber, holds_word, transcript_of
from eval.plain import PLAIN, doubts, open_recording, recordings_in
from eval.scenario import Facts, facts_of, is_whole
from eval.statistics import spread

SCHEMA = 1
STANDS_OUT_DB = 6.0
SILENT_DB = -66.0  # below what a line makes
USER_TOLERANCE_MS = 100.0  # between the user's end in the header and in the audio
SHOWN = METRICS.keys() - {"deadline_miss_rate"}  # of each conversation; a value a tick is too much
COMMON = (
    "agent",
    "model",
    "weights",
    "settings",
    "suite",
    "wire",
    "pace",
    "seed",
    "commit",
    "dirty",
    "machine",
    "versions",
)


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


@dataclass(frozen=True, slots=True)
class Judged:
    """One recording."""

    name: str
    header: Mapping[str, Any]
    question: Score | None  # its first
    found: Measured
    doubts: tuple[str, ...]
    entry: Entry | None  # in the ledgers; None for a sound file of whatever origin


def score(folder: Path, transcribe: Transcriber | None = None) -> dict[str, Any]:
    """Judge every recording in `folder` and write scores.json there. Raises NotARecording when there are none."""
    judged, broken = [], []
    for path in recordings_in(folder):
        try:
            judged.append(judge_all(path, transcribe))
        except (NotARecording, ConfigError, Unscorable) as error:
            broken.append({"recording": path.stem, "why": str(error)})
    if not judged and not broken:
        raise NotARecording(f"{folder}: no recordings; make some with: python -m eval run --out {folder}")
    result = {
        "schema": SCHEMA,
        **{key: agreed(one.header.get(key) for one in judged) for key in COMMON},
        "judge": {"ear": asdict(instrument.GATE), "ear_version": instrument.VERSION, "transcribed": bool(transcribe)},
        "summary": summary([one.question for one in judged if one.question]),
        **_measured([one.found for one in judged]),
        "ledger": ledger([one.entry for one in judged if one.entry]),
        "broken": broken,
        "questions": [asdict(one.question) for one in judged if one.question],
        "conversations": [_conversation(one) for one in judged],
    }
    (folder / "scores.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def judge_all(path: Path, transcribe: Transcriber | None = None) -> Judged:
    """Everything about one recording. Raises NotARecording, ConfigError, Unscorable."""
    recording = open_recording(path)
    question = share = None
    if recording.meta.get(PLAIN):
        found = measure_plain(recording)
    else:
        facts = facts_of(recording.meta)
        check(recording, facts)
        if any(event.kind == "question" for event in facts.happens):
            question = judge(recording, facts, transcribe)
        found = measure(recording, facts, transcribe)
        share = entry(recording, facts, found)
    found_doubts = tuple(doubts(recording, bool(found.user) or not question, bool(found.agent)))
    return Judged(path.stem, recording.meta, question, found, found_doubts, share)


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
    """What the page shows of it: values by metric, and how each event was met."""
    values = {k: [v if v is None else round(v, 3) for v in vs] for k, vs in one.found.values.items() if k in SHOWN}
    return {"recording": one.name, "values": values, "met": [asdict(m) for m in one.found.met], "doubts": [*one.doubts]}


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
    """Every event that should be heard well stands out of the moment before the first; what people annotated in a
    recording of theirs is not silence."""
    annotated = HEADER in recording.meta
    floor_db = SILENT_DB if annotated else _level_db(recording.user[: facts.events[0].begin])
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
        "response_latency_ms": spread(s.response_latency_ms for s in scores),
        "wall_latency_ms": spread(s.wall_latency_ms for s in scores),
        "right": {"right": sum(s.right is True for s in checked), "n": len(checked)},
        "hops_ms": {stage: spread(s.hops.get(stage) for s in answered) for stage in stages},
    }


def agreed(values: Iterable[Any]) -> Any:
    """The value that all recordings share, or "mixed"; None without recordings."""
    distinct = {json.dumps(value, sort_keys=True): value for value in values}
    return next(iter(distinct.values()), None) if len(distinct) < 2 else "mixed"
