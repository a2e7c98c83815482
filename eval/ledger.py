"""The two ledgers of an agent: what became of its tokens, and where the time of its answers went. Pure; sums up what
`eval.metrics.tokens`, `waits` and `ticks` find in its recordings.

Predicted is what `eval.budget` says of the same conversation: its minutes, the user's share by construction, the
agent's as it sounded; the rates, words a minute and that all that is made is heard are the budget's. Gap: measured less
predicted. An amount that one recording does not know is None for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from duplex.frame import FRAME_SECONDS, TICK_HZ
from duplex.recording import Recording
from eval import budget
from eval.budget import Talk
from eval.latency import latency
from eval.measure import Measured, spoken
from eval.metrics import ticks, tokens, waits
from eval.metrics.intervals import total_s
from eval.metrics.tokens import Amounts, Flow
from eval.metrics.waits import Wait
from eval.scenario import Facts

AMOUNTS = tuple(f.name for f in fields(Flow) if f.name != "unit")
SPEECH = ("question", "interruption", "backchannel", "aside")


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording's share."""

    seconds: float
    flows: Mapping[str, Flow]
    predicted: Mapping[str, Flow]
    thrown_by: Mapping[str, Amounts]
    open_answers: int
    waits: Sequence[Wait | None]  # of every turn of the user; None: no answer
    stops_ms: Sequence[float | None]  # None: it did not stop
    ticks: Sequence[Mapping[str, float | None]]
    misses: ticks.Misses | None


def entry(recording: Recording, facts: Facts, measured: Measured) -> Entry:
    """`measured`: what `eval.measure.measure` found in it."""
    turns = [met for met in measured.met if met.kind in ("question", "interruption")]
    return Entry(
        seconds=len(recording.ticks) * FRAME_SECONDS,
        flows=tokens.flows(recording, measured.agent),
        predicted=predicted(recording, facts, total_s(measured.agent)),
        thrown_by=tokens.thrown_by(recording),
        open_answers=tokens.open_answers(recording),
        waits=[None if met.answer is None else waits.wait(recording, met.end, met.answer) for met in turns],
        stops_ms=measured.values.get("stop_latency_ms", []),
        ticks=ticks.legs(recording) if recording.meta.get("capabilities", {}).get("codebooks") else [],
        misses=ticks.misses(recording),
    )


def predicted(recording: Recording, facts: Facts, agent_s: float) -> dict[str, Flow]:
    """What the budget says of such a conversation, flow by flow; `agent_s`: how long the agent sounds."""
    seconds = len(recording.ticks) * FRAME_SECONDS
    user_s = total_s(spoken(facts, [e for e in facts.happens if e.kind in SPEECH]))
    talk = Talk(seconds / 60, min(1.0, user_s / seconds), min(1.0, agent_s / seconds))
    codebooks = recording.meta.get("capabilities", {}).get("codebooks")
    if not codebooks:
        letters = budget.characters(talk)
        return {"stt": Flow("s", heard=user_s), "letters": Flow("letters", None, letters, letters, None, 0)} | {
            "tts": Flow("s", None, agent_s, agent_s, None, 0)
        }
    moshi = budget.systems()["moshi"]
    if codebooks * TICK_HZ != moshi.agent_hz:  # not of Moshi's shape: the budget knows nothing of it
        return {}
    bill = budget.bill(moshi, talk)
    played = bill.audio_out * talk.agent_share  # of the codes: it makes them all the time
    codes = Flow("codes", bill.new_audio_in, bill.audio_out, played, bill.audio_out - played, 0)
    return {"codes": codes, "text": Flow("tokens", None, bill.text_out)}


def ledger(entries: Sequence[Entry]) -> dict[str, Any]:
    """One agent's two ledgers as JSON."""
    return {
        "tokens": _tokens(entries),
        "latency": latency(
            [each for e in entries for each in e.waits],
            [each for e in entries for each in e.stops_ms],
            [each for e in entries for each in e.ticks],
            [e.misses for e in entries if e.misses is not None],
        ),
    }


# --- tokens -----------------------------------------------------------------------------------------------------------


def _tokens(entries: Sequence[Entry]) -> dict[str, Any]:
    names = dict.fromkeys(name for e in entries for name in e.flows)
    reasons: dict[str, Counter[str]] = {}
    for e in entries:
        for why, lost in e.thrown_by.items():
            reasons.setdefault(why, Counter()).update(lost)
    return {
        "seconds": round(sum(e.seconds for e in entries), 2),
        "flows": {name: _flow(name, [e for e in entries if name in e.flows]) for name in names},
        "thrown_by": {why: dict(lost) for why, lost in reasons.items()},
        "open_answers": sum(e.open_answers for e in entries),
    }


def _flow(name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    measured, expected = [e.flows[name] for e in entries], [e.predicted.get(name) for e in entries]
    found = {amount: _total(getattr(flow, amount) for flow in measured) for amount in AMOUNTS}
    told = {amount: _total(flow and getattr(flow, amount) for flow in expected) for amount in AMOUNTS}
    return {
        "unit": measured[0].unit,
        **found,
        "efficiency": _efficiency(found),
        "predicted": told,
        "gap": {amount: _less(found[amount], told[amount]) for amount in AMOUNTS},
    }


def _total(amounts: Iterable[float | None]) -> float | None:
    found = list(amounts)
    known = [each for each in found if each is not None]
    return round(sum(known), 3) if len(known) == len(found) else None


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else round(a - b, 3)


def _efficiency(found: Mapping[str, float | None]) -> float | None:
    made, played = found["generated"], found["played"]
    share = None if made is None or played is None else budget.played_efficiency(made, played)
    return None if share is None else round(share, 3)
