"""How long the user waited for an answer, on the stream clock and on the wall clock.

The response is the first agent span that begins at or after the user's first sample, goes on past the user's last, and
is at least MIN_SPEECH_MS long. One that begins before the user has ended gives a negative latency, which is kept. What
the agent began to say before the user spoke answers nothing; what it said only while the user spoke (a backchannel)
is not a response either. No response is None, never a number.

Resolution: spans are found in hops of 10 ms (`duplex.turns.ENERGY_GATE`), so a clean onset reads 0 to 10 ms early and
a soft one late by its rise to -42 dBFS; an agent's audio comes in frames of 80 ms; the stream clock counts the
PLAYOUT_LAG of one frame, which no agent can undercut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from duplex.frame import FRAME_MS, FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from duplex.recording import Recording, Tick
from duplex.turns import Span, speech_spans

MIN_SPEECH_MS = 100.0  # shorter than that is a click


class Response(NamedTuple):
    """One answer and how long it took from the user's last sample."""

    span: Span  # in samples of the recording
    latency_ms: float  # stream clock, signed
    wall_latency_ms: float | None  # None where the recording holds no times, or was not made in real time


def response(recording: Recording, user: Span) -> Response | None:
    """The answer to what was said in `user`, or None when there was none before the recording ended."""
    span = response_span(speech_spans(recording.agent), user)
    if span is None:
        return None
    paced = recording.meta.get("pace") == "realtime"
    wall = wall_latency_ms(recording.ticks, span.begin, user.end) if paced else None
    return Response(span, latency_ms(span.begin, user.end), wall)


def response_span(agent: Sequence[Span], user: Span) -> Span | None:
    """The span that answers, by the rule above."""
    answers = (s for s in agent if s.begin >= user.begin and s.end > user.end and s.ms >= MIN_SPEECH_MS)
    return next(answers, None)


def latency_ms(onset: int, user_end: int) -> float:
    """Samples to signed milliseconds."""
    return (onset - user_end) * 1000 / SAMPLE_RATE


def play_times_ms(ticks: Sequence[Tick]) -> list[float] | None:
    """When each agent frame sounds: when it is at hand or when the one before has ended, whichever is later.

    A player without a jitter buffer that never skips: what was late once stays late. None when a time is missing.
    """
    times: list[float] = []
    for tick in ticks:
        if tick.said_ms is None:
            return None
        times.append(max(tick.said_ms, times[-1] + FRAME_MS) if times else tick.said_ms)
    return times


def wall_latency_ms(ticks: Sequence[Tick], onset: int, user_end: int) -> float | None:
    """From the user's last sample leaving the mouth to the onset leaving the loudspeaker, or None if unknown.

    `onset` counts in the recording's agent channel, where frame t lies at tick t + PLAYOUT_LAG.
    """
    play = play_times_ms(ticks)
    spoke, asked = onset // FRAME_SAMPLES - PLAYOUT_LAG, (user_end - 1) // FRAME_SAMPLES
    if play is None or not 0 <= spoke < len(play) or asked >= len(ticks):
        return None
    complete = ticks[asked].heard_ms  # when the frame that holds the user's last sample was complete
    if complete is None:
        return None
    user_end_ms = complete - ((asked + 1) * FRAME_SAMPLES - user_end) * 1000 / SAMPLE_RATE
    return play[spoke] + (onset % FRAME_SAMPLES) * 1000 / SAMPLE_RATE - user_end_ms
