"""Who speaks when it is not his turn: the agent inside the user's turn, and the agent in nobody's.

An agent's *episode* is speech joined over at most 1 s (`EPISODE_GAP_MS`). Begun while it is the user's turn, one that
lasts longer than 1 s takes the turn, a shorter one that the user talks over is a backchannel.

- `premature_takeover`: an episode of more than 1 s begins in a pause of the user's turn, or more than 500 ms before the
  turn's end. Down. (In the last 500 ms people begin early, too.)
- `pause_onset`: an episode of any length begins in a pause of the user's turn: takeovers, backchannels, answers
  that gave way when the user went on. No direction.
- `agent_interruption`: an episode that is no backchannel begins while the user makes a sound. Events per user turn, so
  the rate may exceed 1. Down.
- `backchannels`: events, and per minute of the user's turns, pauses included; and when: from the last sound of the user
  before the agent begins, ms, 0 where it begins into that sound.
  An answer into a pause that gives way within 1 s looks like one from outside, so their count is an upper bound.
- `unprompted`: an episode that begins while nobody has said anything to the agent. Events per minute. Down.

Source: sustained episodes after HiPLEX (arXiv 2610.07727), the 500 ms from FD-Bench's early interrupts (arXiv
2507.19040). Version 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval.metrics.intervals import merged, ms
from eval.metrics.response import MIN_SPEECH_MS

VERSION = 1
EPISODE_GAP_MS = 1000.0
SUSTAINED_MS = 1000.0
EARLY_MS = 500.0


def episodes(agent: Sequence[Span]) -> list[Span]:
    """Clean spans -> episodes; clicks belong to none."""
    return merged([s for s in agent if s.ms >= MIN_SPEECH_MS], EPISODE_GAP_MS)


def premature_takeover(agent: Sequence[Span], turn: Span, pauses: Sequence[Span]) -> bool:
    """Whether the agent took the turn that the user has from `turn.begin` to `turn.end`, pauses in it included."""
    early = turn.end - round(EARLY_MS * SAMPLE_RATE / 1000)
    taken = (e.begin for e in episodes(agent) if e.ms > SUSTAINED_MS)
    return any(turn.begin <= at < early or any(p.begin <= at < p.end for p in pauses) for at in taken)


def speaks_in(agent: Sequence[Span], pauses: Sequence[Span]) -> bool:
    """Whether the agent begins to say something, however short, in one of the pauses."""
    return any(_inside(e.begin, pauses) for e in episodes(agent))


def backchannels(agent: Sequence[Span], user: Sequence[Span]) -> list[Span]:
    """Short episodes that begin while the user speaks, and end before he has been silent for EARLY_MS."""
    return [e for e in episodes(agent) if e.ms < SUSTAINED_MS and _inside(e.begin, user) and not _outlives(e, user)]


def interruptions(agent: Sequence[Span], user: Sequence[Span]) -> list[Span]:
    """Episodes that begin while the user speaks and are no backchannels."""
    short = set(backchannels(agent, user))
    return [e for e in episodes(agent) if _inside(e.begin, user) and e not in short]


def backchannel_timing_ms(backchannel: Span, sounds: Sequence[Span]) -> float:
    """From the end of the user's sound before it; `sounds` begin before the backchannel does."""
    before = [s for s in sounds if s.begin <= backchannel.begin]
    return max(0.0, ms(backchannel.begin - before[-1].end)) if before else 0.0


def unprompted(agent: Sequence[Span], since: int, until: int) -> list[Span]:
    """Episodes that begin in [since, until), where nothing was said to the agent."""
    return [e for e in episodes(agent) if since <= e.begin < until]


def _inside(sample: int, user: Sequence[Span]) -> bool:
    return any(s.begin <= sample < s.end for s in user)


def _outlives(episode: Span, user: Sequence[Span]) -> bool:
    """Whether the agent goes on for more than EARLY_MS after the user has fallen silent."""
    spoken = [s for s in user if s.begin < episode.end]
    return ms(episode.end - max(s.end for s in spoken)) > EARLY_MS
