"""What one recording shows, event by event, and what all of them come to. Pure; the definitions are in eval/metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE, TICK_HZ
from duplex.recording import Recording
from duplex.turns import Span
from eval import instrument
from eval.catalogue import METRICS
from eval.metrics import eva, interruption, speech, takeover, ticks
from eval.metrics.interruption import FALSE_STOP_WINDOW_MS, YIELD_WINDOW_MS, Stop
from eval.metrics.intervals import both, clean, ms, total_s, within
from eval.metrics.response import MIN_SPEECH_MS, latency_ms, response_span
from eval.metrics.words import Transcriber, holds_word, transcript_of
from eval.scenario import Event, Facts
from eval.statistics import Estimate, estimate

NOT_TO_IT = ("backchannel", "aside", "background")
ANSWERED_ANYWAY_MS = 2000.0  # what begins later answers nothing; window of tau-voice


@dataclass(frozen=True, slots=True)
class Met:
    """How the agent met one event; samples of the recording. It is what a picture of the conversation marks."""

    kind: str
    begin: int
    end: int
    text: str
    answer: int | None = None  # where its answer begins
    stop: int | None = None  # where it fell silent because of it, rightly or not
    void: str = ""  # why the event says nothing about stopping
    right: bool | None = None  # the answer; None: nothing to check


@dataclass(slots=True)
class Measured:
    """Of one conversation: what each metric found, in order; None where something should have been and was not."""

    values: dict[str, list[float | None]] = field(default_factory=lambda: defaultdict(list))
    void: Counter[str] = field(default_factory=Counter)  # metric: why events say nothing -> how often
    met: list[Met] = field(default_factory=list)
    user: list[Span] = field(default_factory=list)  # where each side speaks, for the panels
    agent: list[Span] = field(default_factory=list)
    samples: int = 0


@dataclass(slots=True)
class Heard:
    """A view of one recording: what sounds when, and what is found in it."""

    recording: Recording
    facts: Facts
    transcribe: Transcriber | None
    agent: list[Span] = field(init=False)
    turns: list[Event] = field(init=False)
    sounds: list[Span] = field(init=False)  # of the user in his turns: pauses are not
    found: Measured = field(init=False, default_factory=Measured)

    def __post_init__(self) -> None:
        self.agent = instrument.speech(self.recording.agent)
        self.turns = [e for e in self.facts.happens if e.kind in ("question", "interruption")]
        self.sounds = spoken(self.facts, self.turns)

    def stop(self, event: Event, window_ms: float) -> Stop:
        return interruption.stop(self.agent, event.begin, window_ms, recorded=len(self.recording.agent))

    def add(self, metric: str, value: float | None) -> None:
        self.found.values[metric].append(value)


def measure(recording: Recording, facts: Facts, transcribe: Transcriber | None = None) -> Measured:
    """Everything that the events of one recording show. Answers are judged by what is heard, or else by what the agent
    wrote."""
    heard = Heard(recording, facts, transcribe)
    ends = [*(e.begin for e in heard.turns), facts.samples][1:]
    eva_turns = [_turn(heard, event, until) for event, until in zip(heard.turns, ends, strict=True)]
    if eva_turns:
        heard.add("eva_turn_score", eva.conversation_score(eva_turns))
    for event in facts.happens:
        if event.kind in NOT_TO_IT:
            _disturbed(heard, event)
    _whole(heard)
    _voice(heard)
    _ticks(heard)
    found = heard.found
    found.met.sort(key=lambda met: met.begin)
    aloud = [e for e in facts.happens if e.kind in ("question", "interruption", "backchannel")]
    found.user, found.agent, found.samples = spoken(facts, aloud), heard.agent, facts.samples
    return found


def measure_plain(recording: Recording) -> Measured:
    """What a recording shows of which nothing is known by construction: how two people share the time."""
    found, samples = Measured(), min(len(recording.user), len(recording.agent))
    found.user, found.agent, found.samples = *map(instrument.speech, (recording.user, recording.agent)), samples
    found.values["overlap_s_per_min"].append(total_s(both(found.user, found.agent)) / (samples / SAMPLE_RATE / 60))
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


# --- a turn of the user -----------------------------------------------------------------------------------------------


def _turn(heard: Heard, event: Event, until: int) -> eva.Turn:
    """`until`: where the user's next turn begins; an answer begins before."""
    stop = heard.stop(event, YIELD_WINDOW_MS) if event.kind == "interruption" else Stop()
    answer = _answer(heard, event, until, stop)
    waited_ms = None if answer is None else latency_ms(answer.begin, event.end)
    heard.add("response_latency_ms", waited_ms)
    heard.add("response_rate", float(answer is not None))
    _tokens_after(heard, event, until, answer)
    right = _checked(heard, event, until) if event.expect and answer else None
    if event.expect:
        heard.add("answer_accuracy", float(bool(right)))
    if event.kind == "interruption":
        _interrupted(heard, event, stop, until)
    _taken(heard, event)
    begin = None if answer is None else answer.begin
    heard.found.met.append(Met(event.kind, event.begin, event.end, event.text, begin, stop.end, stop.void, right))
    return eva.turn_of(heard.agent, heard.sounds, Span(event.begin, event.end), waited_ms)


def _answer(heard: Heard, event: Event, until: int, stop: Stop) -> Span | None:
    since = [s for s in heard.agent if s.begin < until]
    if event.kind == "interruption":  # what it was saying then is no answer
        since = [s for s in since if s.begin >= (event.begin if stop.end is None else stop.end)]
    return response_span(since, Span(event.begin, event.end))


def _tokens_after(heard: Heard, event: Event, until: int, answer: Span | None) -> None:
    """First audio token; and the decision, the first tick after the user's end in which the agent has words."""
    heard.add("ttfat_ms", None if answer is None else first_audio_ms(answer.begin, event.end))
    ends = ((tick.t + 1) * FRAME_SAMPLES for tick in heard.recording.ticks if tick.agent_text.strip())
    decided = next((end for end in ends if event.end < end <= until), None)
    heard.add("ttf_decision_ms", None if decided is None else ms(decided - event.end))


def _checked(heard: Heard, event: Event, until: int) -> bool:
    if heard.transcribe:
        said = transcript_of(heard.recording.agent[event.end : until], heard.transcribe)
    else:
        first, last = event.end // FRAME_SAMPLES, until // FRAME_SAMPLES
        said = "".join(t.agent_text for t in heard.recording.ticks if first <= t.t < last)
    return holds_word(said, event.expect)


def _interrupted(heard: Heard, event: Event, stop: Stop, until: int) -> None:
    if stop.void:
        heard.found.void[f"yield_rate: {stop.void}"] += 1
        return
    heard.add("yield_rate", float(stop.end is not None))
    heard.add("stop_latency_ms", stop.latency_ms)
    if stop.end is not None:
        again_ms = interruption.post_interrupt_latency_ms(heard.agent, stop.end, event.end, until)
        heard.add("post_interrupt_latency_ms", again_ms)


def _taken(heard: Heard, event: Event) -> None:
    """The agent into the user's turn."""
    turn = Span(event.begin, event.end)
    own = [s for s in heard.agent if s.begin >= turn.begin]
    heard.add("agent_interruption_rate", len(takeover.interruptions(own, within(heard.sounds, *turn))))
    pauses = [Span(e.begin, e.end) for e in heard.facts.happens if e.kind == "pause" and e.begin < turn.end]
    if inside := [p for p in pauses if p.begin >= turn.begin]:
        heard.add("pause_onset_rate", float(takeover.speaks_in(heard.agent, inside)))
        heard.add("premature_takeover_rate", float(takeover.premature_takeover(heard.agent, turn, inside)))


# --- what is not meant for the agent ----------------------------------------------------------------------------------


def _disturbed(heard: Heard, event: Event) -> None:
    """While it talks it should go on, while it is silent it should stay so."""
    stop = heard.stop(event, FALSE_STOP_WINDOW_MS)
    answer = None
    if not stop.void:
        heard.add("false_stop_rate", float(stop.end is not None))
        heard.add(f"false_stop_rate/{event.kind}", float(stop.end is not None))
        if stop.end is not None:
            heard.add("resume_rate", float(interruption.resume_latency_ms(heard.agent, stop.end) is not None))
    elif not any(s.begin <= event.begin < s.end for s in heard.agent):
        begun = (s.begin for s in heard.agent if s.begin >= event.begin and s.ms >= MIN_SPEECH_MS)
        answer = next((at for at in begun if ms(at - event.end) <= ANSWERED_ANYWAY_MS), None)
        heard.add("false_answer_rate", float(answer is not None))
        heard.add(f"false_answer_rate/{event.kind}", float(answer is not None))
    else:
        heard.found.void[f"false_stop_rate: {stop.void}"] += 1
    heard.found.met.append(Met(event.kind, event.begin, event.end, event.text, answer, stop.end, stop.void))


# --- all of a recording -----------------------------------------------------------------------------------------------


def _whole(heard: Heard) -> None:
    facts, minutes = heard.facts, heard.facts.samples / SAMPLE_RATE / 60
    heard.add("overlap_s_per_min", total_s(both(heard.agent, heard.sounds)) / minutes)
    turns = clean(Span(e.begin, e.end) for e in heard.turns)
    if turns:
        signs = takeover.backchannels(heard.agent, turns)
        heard.add("backchannels_per_min", len(signs) * 60 / total_s(turns))
        for sign in signs:
            heard.add("backchannel_timing_ms", takeover.backchannel_timing_ms(sign, heard.sounds))
    elif not any(e.kind in NOT_TO_IT for e in facts.happens):
        heard.add("unprompted_speech_rate", len(takeover.episodes(heard.agent)) / minutes)


def _voice(heard: Heard) -> None:
    """Of its speech: only where somebody listens who can write down what is heard."""
    text = heard.recording.agent_text()
    if heard.transcribe is None or not heard.agent:
        return
    if text:
        errors, words = speech.word_errors(text, transcript_of(heard.recording.agent, heard.transcribe))
        heard.add("agent_wer", errors / words if words else None)
    aloud = np.concatenate([heard.recording.agent[s.begin : s.end] for s in heard.agent])
    if (mos := speech.dnsmos([aloud])) is not None:
        heard.add("dnsmos_ovrl", mos)


def _ticks(heard: Heard) -> None:
    """Of the machine: ticks that took longer than a frame, where somebody knows; and the tokens of both sides."""
    if known := ticks.misses(heard.recording):
        for missed in (True,) * known.missed + (False,) * (known.n - known.missed):
            heard.add("deadline_miss_rate", float(missed))
    codebooks = heard.recording.meta.get("capabilities", {}).get("codebooks")
    if codebooks is not None:
        heard.add("tokens_per_min", (2 * codebooks + 1) * TICK_HZ * 60 if codebooks else 0.0)
