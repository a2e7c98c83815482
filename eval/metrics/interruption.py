"""The user speaks while the agent does: does it stop, how soon, and what does it do then.

One definition of stopping serves two metrics: a stop is right at an interruption (`yield_rate`, up) and wrong at a
backchannel, talk to somebody else, background speech or noise (`false_stop_rate`, down).

- The agent *stopped* when the speech in which the user found it is followed by STOP_SILENCE_MS of silence; sentences of
  one reply are closer together.
- `stop_latency`: from the user's first sample to the agent's last audible one, ms, down. Censored at the end of the
  window, never at the user's end: an agent that talks through a short interruption has not stopped.
- *Void*, counted in neither: the agent was not heard in all of the VOICED_MS before the user began (a stop in its own
  pause is nobody's doing), or its reply, where that is known, or the recording was over anyway.
- `post_interrupt_latency`: from the user's last sample to where the agent begins again after its stop, ms, signed;
  up to the user's next turn. Version 2: before, without an end.
- `resume_latency`: from a stop to where the agent goes on, ms, down; nothing after the window is a resumption.

Source: windows of 2.0 s and 1.0 s from tau-voice (sierra-research/tau2-bench, voice interaction metrics 1.0); the void
rule from stopbias's calibration. Version 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval.metrics.intervals import length, merged, ms, within
from eval.metrics.response import MIN_SPEECH_MS

VERSION = 1
YIELD_WINDOW_MS = 2000.0
FALSE_STOP_WINDOW_MS = 1000.0
RESUME_WINDOW_MS = 2000.0
STOP_SILENCE_MS = 500.0
VOICED_MS = 200.0
CUT_MS = 20.0  # speech up to so little before the end of a recording was cut off by it
ENDED_MS = 300.0  # a stop this close to where the reply ends anyway says nothing


@dataclass(frozen=True, slots=True)
class Stop:
    """How the agent met a user who began to speak."""

    end: int | None = None  # one past its last audible sample; None: it went on, or this is void
    latency_ms: float | None = None  # None: censored, or void
    void: str = ""  # why this says nothing


def stop(
    agent: Sequence[Span], onset: int, window_ms: float, natural_end: int | None = None, recorded: int | None = None
) -> Stop:
    """`agent`: clean spans; `onset`: the user's first sample; `natural_end`: where the reply would have ended;
    `recorded`: samples of the recording."""
    voiced = round(VOICED_MS * SAMPLE_RATE / 1000)
    if length(within(agent, onset - voiced, onset)) < voiced:
        return Stop(void="the agent was not talking")
    talk = next(t for t in merged(agent, STOP_SILENCE_MS) if t.begin < onset <= t.end)
    latency_ms = ms(talk.end - onset)
    if latency_ms > window_ms:
        return Stop()
    if recorded is not None and ms(recorded - talk.end) < CUT_MS:
        return Stop(void="the recording was over")
    if natural_end is not None and ms(natural_end - talk.end) < ENDED_MS:
        return Stop(void="its reply was over")
    return Stop(talk.end, latency_ms)


def post_interrupt_latency_ms(agent: Sequence[Span], stopped: int, user_end: int, until: int) -> float | None:
    """Signed; None when the agent did not speak again before sample `until`, where the user takes his next turn."""
    onset = _next_onset(agent, stopped)
    return None if onset is None or onset >= until else ms(onset - user_end)


def resume_latency_ms(agent: Sequence[Span], stopped: int) -> float | None:
    """None when the agent did not go on within the window."""
    onset = _next_onset(agent, stopped)
    return None if onset is None or ms(onset - stopped) > RESUME_WINDOW_MS else ms(onset - stopped)


def _next_onset(agent: Sequence[Span], stopped: int) -> int | None:
    return next((s.begin for s in agent if s.begin >= stopped and s.ms >= MIN_SPEECH_MS), None)
