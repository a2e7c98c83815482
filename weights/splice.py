"""A plan -> tokens, without a WAV: only what the user says is rendered and encoded, in its air, and put in its place.

Between the user's lines lies his noise, encoded once and repeated. The agent's replies are encoded once each: they
begin on a frame and follow silence, so that the same text always has the same codes. All ticks here are the agent's
own: its frame t is what it says in tick t, PLAYOUT_LAG before that is heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from weights.air import transformed
from weights.dialogue import Dialogue, Line
from weights.ear import Ear
from weights.plan import plan
from weights.scenes import READY_MS, STOPS
from weights.shards import Tokens
from weights.synth import Placed, next_frame, place
from weights.text import Encode, layout
from weights.vocabulary import word_ends

LEAD_TICKS, TAIL_TICKS = 5, 4  # of noise before and after what the user says
SETTLING_TICKS = 2  # at the start of an encoding: not to be used
NOISE_TICKS = 25
AGENT_LEAD_TICKS = 12  # of silence before a reply
AGENT_TAIL_TICKS = 4  # in which the codec forgets the reply
ANSWER_TICKS = 5  # the longest gap between a question and its answer


class Splicer:
    """Makes tokens of plans; remembers the replies that it has encoded."""

    def __init__(self, ear: Ear, encode: Encode, words: Mapping[str, int]) -> None:
        self._ear, self._encode, self._words = ear, encode, words
        self._whole = lru_cache(maxsize=4096)(self._whole_reply)

    def tokens(self, dialogue: Dialogue) -> Tokens:
        placed = place(dialogue)
        end = max((p.end for p in placed), default=0) + dialogue.rest_ms * SAMPLE_RATE // 1000
        ticks = -(-end // FRAME_SAMPLES)
        agent = [p for p in placed if p.line.who == "agent"]
        streams = (self._text(agent, ticks)[:, None], self._said(agent, ticks), self._heard(dialogue, placed, ticks))
        return Tokens(np.concatenate(streams, axis=1), self._word_ends(placed, ticks), _info(dialogue, placed))

    # --- the agent ----------------------------------------------------------------------------------------------------

    def _text(self, agent: Sequence[Placed], ticks: int) -> np.ndarray:
        words = []
        for p in agent:
            end = own_tick(p.end) if p.cut else ticks
            words += [(own_tick(p.begin + w.begin), w.text, end) for w in p.clip.words]
        return layout(words, ticks, self._encode)

    def _said(self, agent: Sequence[Placed], ticks: int) -> np.ndarray:
        """int16 [ticks, K]"""
        codes = np.tile(self._ear.silence, (ticks, 1))
        for p in agent:
            _paste(codes, own_tick(p.begin), self._reply(p))
        return codes

    def _reply(self, p: Placed) -> np.ndarray:
        """A stop is the codec's silence from the tick in which the sound fades: it sounds the same, and is one code to
        decide for wherever the reply is cut, where a fade has other codes each time, often those of going on."""
        whole = self._whole(p.line.text)
        return whole[: len(p.clip.pcm) // FRAME_SAMPLES - 1] if p.cut else whole

    def _whole_reply(self, text: str) -> np.ndarray:
        pcm = place(_alone(text))[0].clip.pcm
        return self._ear.codes(_padded(pcm, AGENT_LEAD_TICKS, AGENT_TAIL_TICKS))[AGENT_LEAD_TICKS:]

    # --- the user -----------------------------------------------------------------------------------------------------

    def _heard(self, dialogue: Dialogue, placed: Sequence[Placed], ticks: int) -> np.ndarray:
        """int16 [ticks, K]"""
        noise = self._in_air(dialogue, np.zeros(NOISE_TICKS * FRAME_SAMPLES, np.float32))
        codes = np.tile(noise, (-(-ticks // len(noise)), 1))[:ticks]
        for begin, pcm in _stretches([p for p in placed if p.line.who != "agent"]):
            _paste(codes, begin + SETTLING_TICKS, self._in_air(dialogue, pcm))
        return codes

    def _in_air(self, dialogue: Dialogue, pcm: np.ndarray) -> np.ndarray:
        """float32 [n] -> int16 [ticks - SETTLING_TICKS, K]; one dialogue has one room."""
        rng = np.random.default_rng((dialogue.seed, len(dialogue.lines)))
        heard = np.clip(transformed(pcm, dialogue.channel, rng), -1, 1)
        return self._ear.codes(heard.astype(np.float32))[SETTLING_TICKS:]

    def _word_ends(self, placed: Sequence[Placed], ticks: int) -> np.ndarray:
        said = ((p.begin + w.end, w.text) for p in placed if p.line.who == "user" for w in p.clip.words)
        return word_ends(said, ticks, self._words)


def own_tick(sample: int) -> int:
    """Of the agent, for what sounds at this sample of the dialogue."""
    return sample // FRAME_SAMPLES - PLAYOUT_LAG


def _stretches(lines: Sequence[Placed]) -> Iterator[tuple[int, np.ndarray]]:
    """(first tick, float32 [n]): what the user says with silence around it; lines that touch come together."""
    spans: list[tuple[int, int, list[Placed]]] = []
    for p in sorted(lines, key=lambda p: p.begin):
        begin, end = p.begin // FRAME_SAMPLES - LEAD_TICKS, -(-p.end // FRAME_SAMPLES) + TAIL_TICKS
        if spans and begin <= spans[-1][1]:
            begin, last, others = spans.pop()
            spans.append((begin, max(end, last), [*others, p]))
        else:
            spans.append((begin, end, [p]))
    for begin, end, group in spans:
        pcm = np.zeros((end - begin) * FRAME_SAMPLES, np.float32)
        for p in group:
            at = p.begin - begin * FRAME_SAMPLES
            pcm[at : at + len(p.clip.pcm)] += p.clip.pcm
        yield begin, pcm


def _paste(codes: np.ndarray, at: int, piece: np.ndarray) -> None:
    """[ticks, K]: put `piece` where tick `at` is; what is outside is lost."""
    begin, end = max(at, 0), min(at + len(piece), len(codes))
    codes[begin:end] = piece[begin - at : max(end, begin) - at]


def _padded(pcm: np.ndarray, lead_ticks: int, tail_ticks: int) -> np.ndarray:
    """Silence before and after, in whole frames."""
    tail = -len(pcm) % FRAME_SAMPLES + tail_ticks * FRAME_SAMPLES
    return np.pad(pcm, (lead_ticks * FRAME_SAMPLES, tail)).astype(np.float32)


@lru_cache(maxsize=1)
def _any_plan() -> Dialogue:
    return plan(0)


def _alone(text: str) -> Dialogue:
    """A dialogue in which the agent says this and nothing else happens."""
    return replace(_any_plan(), lines=(Line("agent", "reply", text, ""),))


def _info(dialogue: Dialogue, placed: Sequence[Placed]) -> dict[str, Any]:
    """For the index: who spoke when, the gap before an answer included, so that nobody starts between the two."""
    spoken = []
    for p in placed:
        begin, end = p.begin // FRAME_SAMPLES, -(-p.end // FRAME_SAMPLES)
        spoken.append((begin - PLAYOUT_LAG - 1, end) if p.line.who == "agent" else (begin - 1, end + ANSWER_TICKS))
    replies = [own_tick(p.begin) for p in placed if p.line.kind == "reply"]
    late = [span for p in placed for span in _late(p, placed) if span[0] < span[1]]
    scenes = list(dict.fromkeys(line.scene for line in dialogue.lines))
    what: dict[str, Any] = {"id": f"{dialogue.split} {dialogue.seed}", "seed": dialogue.seed, "scenes": scenes}
    return what | {"spoken": spoken, "replies": replies, "late": late}


def _late(p: Placed, placed: Sequence[Placed]) -> Iterator[tuple[int, int]]:
    """Ticks in which the agent could have begun this reply, or ended the one that this line stops, and has not yet. It
    is seen, so that it can be made good, and not learnt. The tick before a reply says that it begins."""
    if p.line.kind == "reply":
        ready = placed[p.line.after].word_end(p.line.word) + READY_MS * SAMPLE_RATE // 1000
        yield own_tick(next_frame(ready)) - 1, own_tick(p.begin) - 1
    if p.line.stops is not None and placed[p.line.stops].cut:
        last = own_tick(placed[p.line.stops].end) - 1
        yield last - p.line.stop_ticks + p.line.doubt_ticks + min(STOPS), last
