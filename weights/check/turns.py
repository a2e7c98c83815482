"""Questions and what comes back: right content, response, latency; and whether a pause is taken for the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from weights.check.cases import cases, script
from weights.check.hearing import Family, Hearing, Scale, miss
from weights.check.judge import response_ms, takes_over
from weights.check.play import Take
from weights.check.table import Miss, Row, rate
from weights.check.users import Cue, Script
from weights.dialogue import Line


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, judged."""

    take: Take
    line: Line
    latency_ms: float | None  # None: no answer within the window
    heard: str
    right: bool  # by what was heard
    right_text: bool  # by the text stream, as a diagnosis

    @property
    def why(self) -> str:
        """What is wrong with it, "" if nothing is."""
        if self.latency_ms is None:
            return "no answer"
        return "" if self.right else f"wrong, after {self.latency_ms:.0f} ms"


def answer(take: Take, index: int, hearing: Hearing, begin: int | None = None, end: int | None = None) -> Answer:
    """How saying `index` was answered; the answer is looked for in [begin, end), from where the saying began."""
    line, span = take.script.sayings[index].line, take.span(index)
    if span is None:
        return Answer(take, line, None, "", False, False)
    begin = span.begin if begin is None else begin
    heard = hearing.heard(take, begin, end)
    text = take.text_between(begin, end)
    right = hearing.right(heard, line), hearing.right(text, line)
    return Answer(take, line, response_ms(take.agent[:end], span), heard, *right)


class Answers(Family):
    """One question in a fresh session."""

    name = "answers"

    def scripts(self, scale: Scale) -> list[Script]:
        rng = np.random.default_rng(scale.seed)
        found = enumerate(cases("answer", 3 * scale.n, scale.seed, scale.engines))
        return [script(f"answers-{i:03}", case, [Cue("start", float(rng.uniform(400, 2500)))]) for i, case in found]

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        return answer_rows([answer(take, 0, hearing) for take in takes])


def answer_rows(answers: Sequence[Answer]) -> list[Row]:
    """Content, response rate, latency."""
    n, right = len(answers), sum(a.right for a in answers)
    times = [a.latency_ms for a in answers if a.latency_ms is not None]
    said, silent = ([a for a in answers if (a.latency_ms is None) == none] for none in (False, True))
    text = f"text stream alone {_of(a.right_text for a in answers)}; of those answered {_of(a.right for a in said)}"
    text += "".join(f"; {who} {_of(hits)}" for who, hits in _by_voice(answers))
    early = sum(ms < 0 for ms in times)
    p50, p90 = np.percentile(times, (50, 90)).round().tolist() if times else (None, None)
    latency = partial(Row, unit="ms", n=len(times), note=f"{n - len(times)} missing, {early} before the user's end")
    return [
        rate("right content in the agent's speech", right, n, (">=", 85), text, misses(answers)),
        rate("response rate", len(times), n, (">=", 95), "within 3 s", misses(silent)),
        latency("response latency p50, stream clock", p50, bound=("<=", 400)),
        latency("response latency p90, stream clock", p90, bound=("<=", 800)),
    ]


def misses(answers: Sequence[Answer]) -> list[Miss]:
    """Every answer that is not right."""
    return [miss(a.take, a.line, a.heard, a.why) for a in answers if a.why]


class Pauses(Family):
    """A question with a pause of 0.25 to 1 s inside."""

    name = "pause"

    def scripts(self, scale: Scale) -> list[Script]:
        found = enumerate(cases("pause", 2 * scale.n, scale.seed, scale.engines))
        return [script(f"pause-{i:03}", case, [Cue("start", 1000)]) for i, case in found]

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        wrong, right = [], 0
        for take in takes:
            span, saying = take.span(0), take.script.sayings[0]
            assert span is not None
            heard = hearing.heard(take, span.begin)
            right += hearing.right(heard, saying.line)
            if take.crash or takes_over(take.agent, span.begin + saying.pause, span.end):
                wrong.append(miss(take, saying.line, heard, f"took over in a pause of {saying.line.pauses[0][1]} ms"))
        note = f"right content {right} of {len(takes)}"
        return [rate("takeover during a pause of up to 1 s", len(wrong), len(takes), ("<=", 15), note, wrong)]


def _by_voice(answers: Sequence[Answer]) -> list[tuple[str, list[bool]]]:
    """(who asked, which of the answers to him were right), in the order of names."""
    people = sorted({a.take.script.who for a in answers} - {""})
    return [(who, [a.right for a in answers if a.take.script.who == who]) for who in people]


def _of(hits: Iterable[bool]) -> str:
    hits = list(hits)
    return f"{sum(hits)} of {len(hits)}"
