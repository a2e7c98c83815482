"""What an agent's channel did, given where the user spoke. Pure functions of PCM and samples; no text.

Speech is where `duplex.turns` hears it. Spans closer than TALK_GAP_MS are one talk: sentences of one reply are up to
240 ms apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span, speech_spans
from eval.metrics.intervals import ms as samples_ms
from eval.metrics.response import MIN_SPEECH_MS, latency_ms, response_span

TALK_GAP_MS = 500.0
ANSWER_WINDOW_MS = 3000.0  # from the user's last sample; what begins later answers nothing
STOP_WINDOW_MS = 2000.0  # from the user's first sample
ENDED_MS = 300.0  # a stop this close to where the reply ends anyway says nothing


@dataclass(frozen=True, slots=True)
class Stop:
    """What the agent did when the user began to speak into its reply."""

    yielded: bool
    latency_ms: float | None = None  # from the user's first sample to the agent's last audible one; None: it went on
    void: str = ""  # why this says nothing about yielding


def talks(agent: np.ndarray) -> list[Span]:
    """Where the agent talks, float32 [n]: spans of speech, joined over gaps below TALK_GAP_MS, clicks left out."""
    joined: list[Span] = []
    for span in speech_spans(agent):
        if joined and samples_ms(span.begin - joined[-1].end) < TALK_GAP_MS:
            joined[-1] = Span(joined[-1].begin, span.end)
        else:
            joined.append(span)
    return [talk for talk in joined if talk.ms >= MIN_SPEECH_MS]


def response_ms(agent: np.ndarray, user: Span) -> float | None:
    """Signed latency of the answer to what was said in `user`, or None when none began within the window."""
    span = response_span(speech_spans(agent), user)
    if span is None:
        return None
    ms = latency_ms(span.begin, user.end)
    return ms if ms <= ANSWER_WINDOW_MS else None


def takes_over(agent: np.ndarray, pause_begin: int, user_end: int) -> bool:
    """Whether the agent began to talk after the user had paused and before his turn was over."""
    return any(pause_begin <= span.begin < user_end and span.ms >= MIN_SPEECH_MS for span in speech_spans(agent))


def stop(agent: np.ndarray, onset: int, natural_end: int | None = None) -> Stop:
    """How the agent met a user who began at sample `onset`; `natural_end` is where its reply would have ended.

    Void when it was not talking then, or when it ended about where it would have ended anyway.
    """
    talk = next((t for t in talks(agent) if t.begin <= onset < t.end), None)
    if talk is None:
        return Stop(False, void="was not talking when the user began")
    ms = samples_ms(talk.end - onset)
    if natural_end is not None and samples_ms(natural_end - talk.end) < ENDED_MS and ms <= STOP_WINDOW_MS:
        return Stop(False, void="its reply had ended")
    return Stop(True, ms) if ms <= STOP_WINDOW_MS else Stop(False)


def overlap_s(talk: Sequence[Span], user: Span) -> float:
    """Seconds of `talk` inside of `user`."""
    return sum(max(0, min(t.end, user.end) - max(t.begin, user.begin)) for t in talk) / SAMPLE_RATE
