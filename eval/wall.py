"""A recording as it sounded at the client, on the wall clock: the one clock that all wires share.

Our own wires carry ticks, and the agent's frame lies at its tick in the recording, whenever it came. At the client it
sounds when it is at hand, by the rule of `eval.metrics.response.play_times_ms`. What came over others' protocols, and
on the telephone, is recorded as it sounded: there it stays. The user is on the wall clock in any case.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from duplex.recording import Recording
from eval.judge import Unscorable
from eval.metrics.response import play_times_ms


def at_client(recording: Recording) -> Recording:
    """The same with the agent's frames where they sounded. Raises Unscorable for what was not made in real time."""
    if recording.meta.get("pace") != "realtime" and not recording.meta.get("realtime"):
        raise Unscorable("not made in real time: no wall clock")
    times_ms = play_times_ms(recording.ticks)
    if not times_ms:  # a telephone counts at its own clock, and plays what it records
        return recording
    begins = [round(ms * SAMPLE_RATE / 1000) for ms in times_ms]
    heard = np.zeros(begins[-1] + FRAME_SAMPLES, np.float32)
    for tick, begin in enumerate(begins):
        frame = recording.agent[(tick + PLAYOUT_LAG) * FRAME_SAMPLES :][:FRAME_SAMPLES]
        heard[begin : begin + len(frame)] = frame
    return replace(recording, agent=heard)
