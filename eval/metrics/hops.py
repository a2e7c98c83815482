"""Where a cascade spent the wait, by its own account: the Hop events that led to a response.

Two views of the same events. `hops`: when each stage was done, since the end of speech as the agent heard it.
`added_ms`: what each stage adds to the wait since the user's true end, so that the parts sum up to the whole; work that
is done while an earlier stage is still waited for (in the pause that speculation uses) adds nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from duplex.events import Hop
from duplex.frame import FRAME_MS, FRAME_SAMPLES, PLAYOUT_LAG
from duplex.recording import Recording
from eval.metrics.intervals import ms

FIRST = "endpoint"  # the stage that opens a new answer
LAST = "release"
SPENT = {"stt": "stt", "llm_first_token": "llm", "first_sentence": "sentence", "tts_first_chunk": "tts"}  # in between
CASCADE = ("endpoint", *SPENT.values(), "release", "leading_silence")  # in the order in which they are waited for


class Told(NamedTuple):
    """A Hop: in which tick it was told, and its ms since the end of speech as the agent heard it."""

    t: int
    ms: float


def hops(recording: Recording, onset: int) -> dict[str, float]:
    """Stage -> ms since the user's end as the agent heard it, for the answer that sounds from `onset`, first to last.

    An answer that was given up (its endpoint came too early) leaves no trace here. {} for an agent without hops.
    """
    legs = {stage: told.ms for stage, told in account(recording, onset).items()}
    return dict(sorted(legs.items(), key=lambda leg: leg[1]))


def account(recording: Recording, onset: int) -> dict[str, Told]:
    """Stage -> what was told of it, for the answer that sounds from sample `onset`."""
    legs: dict[str, Told] = {}
    for t, event in recording.events(Hop):
        if t > onset // FRAME_SAMPLES - PLAYOUT_LAG:
            break
        if event["stage"] == FIRST:
            legs = {}
        legs.setdefault(event["stage"], Told(t, event["ms"]))
    return legs


def added_ms(recording: Recording, user_end: int, onset: int, since_ms: float) -> dict[str, float | None]:
    """Stage of CASCADE -> ms that it adds, counted from `since_ms` after sample `user_end`; None: nobody told.

    release: until the tick in which the sound is let go; leading_silence: from there to the first sample that the agent
    takes for audible. {} where the account does not reach from endpoint to release.
    """
    told = account(recording, onset)
    if FIRST not in told or LAST not in told:
        return {}
    heard_end_ms = (told[FIRST].t + 1) * FRAME_MS - told[FIRST].ms - ms(user_end)  # by the agent's ear, since the true
    done: dict[str, float | None] = {FIRST: heard_end_ms + told[FIRST].ms}
    for stage, name in SPENT.items():
        done[name] = heard_end_ms + told[stage].ms if stage in told else None
    done[LAST] = (told[LAST].t + PLAYOUT_LAG) * FRAME_MS - ms(user_end)
    done["leading_silence"] = heard_end_ms + told[LAST].ms
    return _added(done, since_ms)


def _added(done: dict[str, float | None], now_ms: float) -> dict[str, float | None]:
    added: dict[str, float | None] = {}
    for stage, at_ms in done.items():
        added[stage] = None if at_ms is None else round(max(0.0, at_ms - now_ms), 2)
        now_ms = max(now_ms, at_ms or now_ms)
    return added
