"""EVA's turn score: one number in [0, 1] for each turn, by rules and without a judge. Up.

Source: `turn_taking` 0.2 of ServiceNow/eva (arXiv 2605.13841), from its published definition. An answer between 0.5 and
2 s (3 s with a tool call) scores 1. A turn in which the agent talked into the user scores at most 0.5; one in which the
user talked into the agent scores by how soon it stopped; where both did, the smaller counts. A conversation's score is
the mean over its turns, and 0 when the last turn got no answer. The greeting is no turn. Version 1 of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duplex.turns import Span
from eval.metrics import takeover
from eval.metrics.intervals import both, ms, total_s, within

VERSION = 1
_EARLIEST_MS, _FULL_MS = -500.0, 500.0  # between them the score rises to 1
_LATE_MS, _LOST_MS = 2000.0, 3500.0  # between them it falls to 0
_TOOL_LATE_MS, _TOOL_LOST_MS = 3000.0, 5000.0
_OVERLAP_MS = _YIELD_MS = 2000.0  # at which nothing is left


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn and what the agent did."""

    latency_ms: float | None  # of the answer, signed; None: there was none
    tool: bool = False  # a tool was called on the way
    barge_ins: int = 0  # how often the agent began to talk into the user's speech
    overlap_ms: float = 0.0  # of all of them
    after_barge_in_ms: float | None = None  # from the user's last sample to the agent's next onset, where there is one
    yield_ms: float | None = None  # the user talked into the agent, which stopped after so long; None: he did not


def turn_of(agent: Sequence[Span], sounds: Sequence[Span], turn: Span, latency_ms: float | None) -> Turn:
    """One turn of a user who makes `sounds`, both sides clean spans; `latency_ms` of its answer."""
    aloud = within(sounds, turn.begin, turn.end)
    barge_ins = takeover.interruptions([s for s in agent if s.begin >= turn.begin], aloud)
    again = [s for s in agent if s.end > turn.end]
    after_ms = ms(again[0].begin - turn.end) if again and again[0].begin >= turn.end else None
    talking = next((s for s in agent if s.begin < turn.begin < s.end), None)
    return Turn(
        latency_ms,
        barge_ins=len(barge_ins),
        overlap_ms=1000 * total_s(both(barge_ins, aloud)),
        after_barge_in_ms=after_ms if barge_ins else None,
        yield_ms=None if talking is None else ms(talking.end - turn.begin),
    )


def turn_score(turn: Turn) -> float:
    scores = []
    if turn.barge_ins:
        scores.append(_barged(turn))
    if turn.yield_ms is not None:
        scores.append(max(0.0, 1 - max(0.0, turn.yield_ms) / _YIELD_MS))
    if scores:
        return min(scores)
    return 0.0 if turn.latency_ms is None else latency_score(turn.latency_ms, turn.tool)


def latency_score(latency_ms: float, tool: bool = False) -> float:
    """Rises from -500 to 500 ms, stays 1, falls to 0 at 3.5 s (5 s with a tool call)."""
    late, lost = (_TOOL_LATE_MS, _TOOL_LOST_MS) if tool else (_LATE_MS, _LOST_MS)
    rising = (latency_ms - _EARLIEST_MS) / (_FULL_MS - _EARLIEST_MS)
    falling = (lost - latency_ms) / (lost - late)
    return min(1.0, max(0.0, min(rising, falling)))


def conversation_score(turns: Sequence[Turn]) -> float | None:
    """None without turns."""
    if not turns:
        return None
    return 0.0 if turns[-1].latency_ms is None else sum(map(turn_score, turns)) / len(turns)


def _barged(turn: Turn) -> float:
    scores = [0.5 * (1 - turn.overlap_ms / _OVERLAP_MS), 0.5 * (1 - (turn.barge_ins - 1) / 2)]
    if turn.after_barge_in_ms is not None:
        scores.append(latency_score(turn.after_barge_in_ms, turn.tool))
    return max(0.0, min(scores))
