"""Where a cascade spent the wait, by its own account: the Hop events that led to a response."""

from __future__ import annotations

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG
from duplex.recording import Recording
from duplex.session import Hop

FIRST = "endpoint"  # the stage that opens a new answer


def hops(recording: Recording, onset: int) -> dict[str, float]:
    """Stage -> ms since the user's end as the agent heard it, for the answer that sounds from `onset`, first to last.

    An answer that was given up (its endpoint came too early) leaves no trace here. {} for an agent without hops.
    """
    legs: dict[str, float] = {}
    for t, event in recording.events(Hop):
        if t > onset // FRAME_SAMPLES - PLAYOUT_LAG:
            break
        if event["stage"] == FIRST:
            legs = {}
        legs.setdefault(event["stage"], event["ms"])
    return dict(sorted(legs.items(), key=lambda leg: leg[1]))
