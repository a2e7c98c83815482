"""One wait of the user, leg by leg: from his last sample to the agent's first audible one.

Clock: the wall where the recording was made in real time and holds times, else the stream, on which compute of an
engine costs nothing. Legs, in ms, in the order in which they are waited for:

- `capture`: until the frame with the user's last sample is complete, 0 to 80;
- a cascade's own (`eval.metrics.hops`): endpoint, stt, llm, sentence, tts, release, leading_silence;
- any other agent's: `deciding`, the whole ticks in which it stays silent, and `leading_silence` in its first frame;
- of the tick that sounds, on the wall clock only (`eval.metrics.ticks`): queue, encode, temporal, depth, decode,
  transport or other; of an agent without an engine's account all of it is transport, or other in one process;
- `playout`: until the player has played the frame before.

The parts of several waits are summed up apart, and percentiles of parts do not add up to that of the whole: hence the
`residual` of each wait, the whole less all legs. It is what an agent's own idea of audible differs from the judge's,
and clocks that do not agree. Source: the hop ledger of Pipecat's latency breakdown with aiewf-eval's silence column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from duplex.frame import FRAME_MS, FRAME_SAMPLES, PLAYOUT_LAG
from duplex.recording import Recording
from eval.metrics import hops, ticks
from eval.metrics.intervals import ms
from eval.metrics.response import latency_ms, play_times_ms, wall_latency_ms

LEGS = ("capture", *hops.CASCADE[:-1], "deciding", *ticks.STAGES, "playout", "leading_silence")


@dataclass(frozen=True, slots=True)
class Wait:
    """Times in ms since the user's last sample."""

    clock: Literal["wall", "stream"]
    total_ms: float  # until the agent is heard; negative: it began before the user's end
    first_audio_ms: float  # until the first frame that sounds is at hand: time to first audio token
    legs: Mapping[str, float | None]  # {} for a negative wait; None: a leg that this agent has and nobody recorded
    residual_ms: float | None


def wait(recording: Recording, user_end: int, onset: int) -> Wait:
    """`user_end`: one past the user's last sample; `onset`: the agent's first; both in samples of the recording."""
    wall_ms = wall_latency_ms(recording.ticks, onset, user_end) if _real(recording) else None
    total_ms = latency_ms(onset, user_end) if wall_ms is None else wall_ms
    clock = "stream" if wall_ms is None else "wall"
    spoke = onset // FRAME_SAMPLES - PLAYOUT_LAG
    tick = {} if wall_ms is None else _tick_legs(recording, spoke)
    compute_ms = sum(each or 0.0 for stage, each in tick.items() if stage != "playout")
    first_ms = ms((spoke + 1) * FRAME_SAMPLES - user_end) + compute_ms
    if total_ms < 0:
        return Wait(clock, total_ms, first_ms, {}, None)
    found = _agent_legs(recording, user_end, onset) | tick
    legs = {stage: found[stage] for stage in LEGS if stage in found}
    return Wait(clock, total_ms, first_ms, legs, round(total_ms - sum(each or 0.0 for each in legs.values()), 2))


def capture_ms(user_end: int) -> float:
    """Until the frame with the user's last sample is complete."""
    return ms(-user_end % FRAME_SAMPLES)


def _agent_legs(recording: Recording, user_end: int, onset: int) -> dict[str, float | None]:
    """On the stream clock."""
    capture = capture_ms(user_end)
    own = hops.added_ms(recording, user_end, onset, capture)
    if own:
        return {"capture": round(capture, 2), **own}
    deciding = (onset // FRAME_SAMPLES - PLAYOUT_LAG) - (user_end - 1) // FRAME_SAMPLES
    silence_ms = ms(onset % FRAME_SAMPLES)
    return {"capture": round(capture, 2), "deciding": deciding * FRAME_MS, "leading_silence": round(silence_ms, 2)}


def _tick_legs(recording: Recording, spoke: int) -> dict[str, float | None]:
    """What the wall clock adds to the stream's in the tick that sounds."""
    tick, play = ticks.legs(recording)[spoke], play_times_ms(recording.ticks)
    said_ms = recording.ticks[spoke].said_ms
    assert play is not None and said_ms is not None
    rest = "transport" if ticks.wired(recording) else "other"
    engine = ticks.STAGES[:-2] if recording.meta.get("capabilities", {}).get("codebooks") else ()
    return {stage: tick[stage] for stage in (*engine, rest)} | {"playout": round(play[spoke] - said_ms, 2)}


def _real(recording: Recording) -> bool:
    return recording.meta.get("pace") == "realtime" and all(t.heard_ms is not None for t in recording.ticks)
