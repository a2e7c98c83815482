"""Tokens of one recording: how many were heard, generated, played as sound, played as silence, and thrown away.

A *flow* is one kind of token, in its own unit; flows are never added up. What the recording does not know is None.

- An agent that speaks codes (Moshi): `codes`, all codebooks of every tick, both ways, silence included; a code is
  *played* when its frame has audible speech in it, else *silent*. `text`: one token a tick; played where it has words.
  Every frame that is made is played, so nothing is thrown away.
- A cascade, by its Made and Wasted events: `stt`, seconds of the user's audio; `llm`, pieces of the stream, a token
  each with llama.cpp; `letters` and `tts`, letters given to the voice and seconds of sound that came of them. Played
  is what is audible (tts) and what was voiced (letters). Silent, of the sound: inaudible, or not yet due when the
  recording ended. What a stage threw away when it was stopped at work is not known.

Played efficiency is played over generated. Source: reference section 5.3, generated_not_played and silence_share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from duplex.events import Hop, Made, Wasted, Work
from duplex.frame import PLAYOUT_LAG
from duplex.recording import Recording
from duplex.turns import Span
from eval.metrics.hops import FIRST
from eval.metrics.intervals import total_s

Amounts = dict[str, float]  # field of Work -> how much; ms as they are


@dataclass(frozen=True, slots=True)
class Flow:
    """Amounts in `unit`; None: unknown, or nothing that this flow has."""

    unit: str
    heard: float | None = None
    generated: float | None = None
    played: float | None = None
    silent: float | None = None
    thrown_away: float | None = None


def flows(recording: Recording, agent: Sequence[Span]) -> dict[str, Flow]:
    """`agent`: where it sounds, clean spans in samples. {} for an agent that is neither."""
    can = recording.meta.get("capabilities", {})
    if can.get("codebooks"):
        return _of_codes(recording, agent, can["codebooks"])
    if can.get("name") == "cascade" or recording.events(Hop) or recording.events(Made):
        return _of_cascade(recording, agent)
    return {}


def thrown_by(recording: Recording) -> dict[str, Amounts]:
    """Why -> what was thrown away for it."""
    reasons: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for _, event in recording.events(Wasted):
        reasons[event["why"]].append(event)
    return {why: _sum(events) for why, events in reasons.items()}


def open_answers(recording: Recording) -> int:
    """Of a cascade: answers to speech that were still in the making when the recording ended; in no flow."""
    begun = sum(event["stage"] == FIRST for _, event in recording.events(Hop))
    unused = sum(event["why"] == "unused" for _, event in recording.events(Wasted))
    return max(0, begun - (len(recording.events(Made)) - unused))


def audible_ticks(agent: Sequence[Span], n: int) -> int:
    """Of the agent's first n frames, those in which it sounds; frame t lies PLAYOUT_LAG later in the recording."""
    sounding: set[int] = set()
    for span in agent:
        sounding.update(range(span.begin_tick - PLAYOUT_LAG, span.end_tick + 1 - PLAYOUT_LAG))
    return len(sounding & set(range(n)))


def _of_codes(recording: Recording, agent: Sequence[Span], codebooks: int) -> dict[str, Flow]:
    n = len(recording.ticks)
    heard, generated = (sum(len(t.codes.get(who, ())) or codebooks for t in recording.ticks) for who in _WHO)
    played = codebooks * audible_ticks(agent, n)
    worded = sum(bool(tick.agent_text.strip()) for tick in recording.ticks)
    return {
        "codes": Flow("codes", heard, generated, played, generated - played, 0),
        "text": Flow("tokens", None, n, worded, n - worded, 0),
    }


_WHO = ("user", "agent")


def _of_cascade(recording: Recording, agent: Sequence[Span]) -> dict[str, Flow]:
    sounded_s, voiced = round(total_s(agent), 3), len(recording.agent_text())
    if recording.events(Hop) and not recording.events(Made):  # it did not tell yet
        return {"stt": Flow("s"), "llm": Flow("pieces"), "letters": Flow("letters", played=voiced)} | {
            "tts": Flow("s", played=sounded_s)
        }
    made, lost = (_sum([event for _, event in recording.events(kind)]) for kind in (Made, Wasted))
    heard_s, lost_heard_s, tts_s, lost_s = (w[key] / 1000 for key in ("heard_ms", "voiced_ms") for w in (made, lost))
    pieces, letters = made["pieces"], made["letters"]
    return {
        "stt": Flow("s", heard=round(heard_s, 3), thrown_away=round(lost_heard_s, 3)),
        "llm": Flow("pieces", None, pieces, pieces - lost["pieces"], None, lost["pieces"]),
        "letters": Flow("letters", None, letters, voiced, None, lost["letters"]),
        "tts": Flow("s", None, round(tts_s, 3), sounded_s, round(tts_s - sounded_s - lost_s, 3), round(lost_s, 3)),
    }


def _sum(events: Iterable[Mapping[str, Any]]) -> Amounts:
    found = list(events)
    return {field.name: sum(event[field.name] for event in found) for field in fields(Work)}
