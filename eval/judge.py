"""One recording, judged: its first question, everything measured, its share in the ledgers, what makes it doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.recording import Recording
from duplex.turns import speech_spans
from eval.fdb.samples import HEADER
from eval.ledger import Entry, entry
from eval.measure import Measured, measure, measure_plain
from eval.metrics.hops import hops
from eval.metrics.response import response
from eval.metrics.words import Transcriber, holds_word, remembered, transcript_of
from eval.plain import PLAIN, doubts, open_recording
from eval.scenario import Facts, facts_of, is_whole

STANDS_OUT_DB = 6.0
SILENT_DB = -66.0  # below what a line makes
USER_TOLERANCE_MS = 100.0  # between the user's end in the header and in the audio


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


def judge_all(path: Path, transcribe: Transcriber | None = None) -> Judged:
    """Everything about one recording. Raises NotARecording, ConfigError, Unscorable."""
    recording = open_recording(path)
    transcribe = transcribe and remembered(transcribe)  # its whole speech is asked for more than once
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
