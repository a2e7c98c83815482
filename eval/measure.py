"""What one recording shows, event by event, and what all of them come to. Pure; the definitions are in eval/metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from duplex.frame import FRAME_MS, FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE, TICK_HZ
from duplex.recording import Recording
from duplex.turns import Span
from eval import instrument
from eval.metrics import interruption, takeover
from eval.metrics.interruption import FALSE_STOP_WINDOW_MS, YIELD_WINDOW_MS, Stop, post_interrupt_latency_ms
from eval.metrics.intervals import both, clean, ms, total_s
from eval.metrics.response import MIN_SPEECH_MS, latency_ms, response_span
from eval.metrics.words import Transcriber, holds_word, transcript_of
from eval.scenario import Event, Facts
from eval.statistics import Direction, Estimate, Statistic, estimate, mean, median

NOT_TO_IT = ("backchannel", "aside", "background")
ANSWERED_ANYWAY_MS = 2000.0  # what begins later answers nothing; window of tau-voice


@dataclass(slots=True)
class Measured:
    """Of one conversation: what each metric found, in order; None where something should have been and was not."""

    values: dict[str, list[float | None]] = field(default_factory=lambda: defaultdict(list))
    void: Counter[str] = field(default_factory=Counter)  # metric: why events say nothing -> how often


@dataclass(frozen=True, slots=True)
class Metric:
    unit: str
    direction: Direction
    version: int
    statistic: Statistic


METRICS: Mapping[str, Metric] = {
    "response_latency_ms": Metric("ms", "down", 1, median),
    "ttfat_ms": Metric("ms", "down", 1, median),  # time to first audio token, see `first_audio_ms`
    "ttf_decision_ms": Metric("ms", "down", 1, median),
    "response_rate": Metric("share of turns", "up", 1, mean),
    "stop_latency_ms": Metric("ms", "down", interruption.VERSION, median),
    "yield_rate": Metric("share of interruptions", "up", interruption.VERSION, mean),
    "post_interrupt_latency_ms": Metric("ms", "down", interruption.VERSION, median),
    "false_stop_rate": Metric("share of events", "down", interruption.VERSION, mean),
    "false_answer_rate": Metric("share of events", "down", 1, mean),
    "premature_takeover_rate": Metric("share of turns with a pause", "down", takeover.VERSION, mean),
    "agent_interruption_rate": Metric("events per user turn", "down", takeover.VERSION, mean),
    "unprompted_speech_rate": Metric("events per minute of quiet", "down", takeover.VERSION, mean),
    "overlap_s_per_min": Metric("s/min", "none", 1, mean),
    "answer_accuracy": Metric("share of turns with a known answer", "up", 1, mean),
    "deadline_miss_rate": Metric("share of ticks", "down", 1, mean),
    "tokens_per_min": Metric("codes and text, both sides", "none", 1, mean),
}


def measure(recording: Recording, facts: Facts, transcribe: Transcriber | None = None) -> Measured:
    """Everything that the events of one recording show. Answers are judged by what is heard, or else by what the agent
    wrote."""
    agent, found = instrument.speech(recording.agent), Measured()
    turns = [e for e in facts.happens if e.kind in ("question", "interruption")]
    for i, event in enumerate(turns):
        until = turns[i + 1].begin if i + 1 < len(turns) else facts.samples
        stop = interruption.stop(agent, event.begin, YIELD_WINDOW_MS) if event.kind == "interruption" else None
        span = _answer(found, agent, event, until, stop)
        _tokens_after(found, recording, event, until, span)
        if event.expect:
            said = _said(recording, event.end, until, transcribe) if span else ""
            found.values["answer_accuracy"].append(float(holds_word(said, event.expect)))
        if stop is not None:
            _interrupted(found, agent, event, stop)
    for event in facts.happens:
        if event.kind in NOT_TO_IT:
            _disturbed(found, agent, event)
    _pauses(found, agent, facts, turns)
    _whole(found, agent, facts, turns)
    _ticks(found, recording)
    return found


def estimates(conversations: Sequence[Measured]) -> dict[str, Estimate]:
    """Every metric of METRICS; one that no recording shows has n 0 and no value."""
    return {
        name: estimate([c.values.get(name, []) for c in conversations], m.statistic, m.unit, m.direction, m.version)
        for name, m in METRICS.items()
    }


def spoken(facts: Facts, turns: Sequence[Event]) -> list[Span]:
    """Where the user makes a sound in his turns: pauses are not."""
    pauses = clean(Span(e.begin, e.end) for e in facts.happens if e.kind == "pause")
    edges = [0, *(at for pause in pauses for at in pause), facts.samples]
    aloud = [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    return both(clean(Span(e.begin, e.end) for e in turns), aloud)


def first_audio_ms(onset: int, user_end: int) -> float:
    """From the user's last sample to the end of the tick in which the agent made the frame that sounds from `onset` on:
    nobody has its tokens before. Both in samples of the recording."""
    tick = onset // FRAME_SAMPLES - PLAYOUT_LAG
    return ms((tick + 1) * FRAME_SAMPLES - user_end)


def _answer(found: Measured, agent: Sequence[Span], event: Event, until: int, stop: Stop | None) -> Span | None:
    """An answer begins before the user takes his next turn; `stop`: how an interruption was met."""
    since = [s for s in agent if s.begin < until]
    if stop is not None:  # what it was saying then is no answer
        since = [s for s in since if s.begin >= (event.begin if stop.end is None else stop.end)]
    span = response_span(since, Span(event.begin, event.end))
    found.values["response_latency_ms"].append(None if span is None else latency_ms(span.begin, event.end))
    found.values["response_rate"].append(float(span is not None))
    return span


def _tokens_after(found: Measured, recording: Recording, event: Event, until: int, span: Span | None) -> None:
    """First audio token; and the decision, the first tick after the user's end in which the agent has words."""
    found.values["ttfat_ms"].append(None if span is None else first_audio_ms(span.begin, event.end))
    ends = ((tick.t + 1) * FRAME_SAMPLES for tick in recording.ticks if tick.agent_text.strip())
    decided = next((end for end in ends if event.end < end <= until), None)
    found.values["ttf_decision_ms"].append(None if decided is None else ms(decided - event.end))


def _said(recording: Recording, begin: int, until: int, transcribe: Transcriber | None) -> str:
    if transcribe:
        return transcript_of(recording.agent[begin:until], transcribe)
    last = until // FRAME_SAMPLES
    return "".join(t.agent_text for t in recording.ticks if begin // FRAME_SAMPLES <= t.t < last)


def _ticks(found: Measured, recording: Recording) -> None:
    """Of the machine: ticks that took longer than a frame, where it ran in real time; and the tokens of both sides."""
    if recording.meta.get("pace") == "realtime":
        took = [t.said_ms - t.heard_ms for t in recording.ticks if t.said_ms is not None and t.heard_ms is not None]
        found.values["deadline_miss_rate"] += [float(each > FRAME_MS) for each in took]
    codebooks = recording.meta.get("capabilities", {}).get("codebooks")
    if codebooks is not None:
        found.values["tokens_per_min"].append((2 * codebooks + 1) * TICK_HZ * 60 if codebooks else 0.0)


def _interrupted(found: Measured, agent: Sequence[Span], event: Event, stop: Stop) -> None:
    if stop.void:
        found.void[f"yield_rate: {stop.void}"] += 1
        return
    found.values["yield_rate"].append(float(stop.end is not None))
    found.values["stop_latency_ms"].append(stop.latency_ms)
    if stop.end is not None:
        found.values["post_interrupt_latency_ms"].append(post_interrupt_latency_ms(agent, stop.end, event.end))


def _disturbed(found: Measured, agent: Sequence[Span], event: Event) -> None:
    """Not meant for the agent: while it talks it should go on, while it is silent it should stay so."""
    stop = interruption.stop(agent, event.begin, FALSE_STOP_WINDOW_MS)
    if not stop.void:
        found.values["false_stop_rate"].append(float(stop.end is not None))
    elif not any(s.begin <= event.begin < s.end for s in agent):
        begun = (s.begin for s in agent if s.begin >= event.begin and s.ms >= MIN_SPEECH_MS)
        answered = any(ms(at - event.end) <= ANSWERED_ANYWAY_MS for at in begun)
        found.values["false_answer_rate"].append(float(answered))
    else:
        found.void[f"false_stop_rate: {stop.void}"] += 1


def _pauses(found: Measured, agent: Sequence[Span], facts: Facts, turns: Sequence[Event]) -> None:
    pauses = [Span(e.begin, e.end) for e in facts.happens if e.kind == "pause"]
    for turn in turns:
        inside = [p for p in pauses if turn.begin <= p.begin < turn.end]
        if inside:
            taken = takeover.premature_takeover(agent, Span(turn.begin, turn.end), inside)
            found.values["premature_takeover_rate"].append(float(taken))


def _whole(found: Measured, agent: Sequence[Span], facts: Facts, turns: Sequence[Event]) -> None:
    """What is counted over all of a recording."""
    user = spoken(facts, turns)
    minutes = facts.samples / SAMPLE_RATE / 60
    found.values["overlap_s_per_min"].append(total_s(both(agent, user)) / minutes)
    if turns:
        found.values["agent_interruption_rate"].append(len(takeover.interruptions(agent, user)) / len(turns))
    elif not any(e.kind in NOT_TO_IT for e in facts.happens):
        found.values["unprompted_speech_rate"].append(len(takeover.episodes(agent)) / minutes)
