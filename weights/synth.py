"""Dialogues as Recordings: `python -m weights.synth --out DIR --minutes M --seed S --split train`.

Turns a plan into sound. Every sentence of the agent begins on a frame and is rendered by the same seed, so it always
has the same samples. The header holds when every line and word really was, in samples of the WAV.

Two clocks, one lag: in a Recording the agent's frame t sounds at tick t + PLAYOUT_LAG, and all gaps and stops here are
those that a listener hears. A model is trained on what was heard and said in the same tick: `own_ticks` undoes the lag.
"""

from __future__ import annotations

import argparse
import wave
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.progress import Progress

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE, Frame
from duplex.recording import Recording, RecordingWriter
from weights.air import SPEECH_RMS, hiss, levelled, transformed
from weights.dialogue import START, Dialogue, Line
from weights.flags import add_engines
from weights.intents import Split, sentences
from weights.plan import plan
from weights.voices import DEFAULT, Clip, Word, agent_says, speaker

FADE_SAMPLES = SAMPLE_RATE // 20
SENTENCE_GAP_TICKS = 2


@dataclass(slots=True, eq=False)
class Placed:
    """A line at its place, in samples of the WAV."""

    line: Line
    clip: Clip
    begin: int
    cut: bool = False

    @property
    def end(self) -> int:
        return self.begin + len(self.clip.pcm)

    def word_end(self, word: int) -> int:
        return self.begin + self.clip.words[word].end if self.clip.words and word >= 0 else self.end

    def as_json(self) -> dict[str, Any]:
        words = [(w.text, self.begin + w.begin, self.begin + w.end) for w in self.clip.words]
        return asdict(self.line) | {"begin": self.begin, "end": self.end, "cut": self.cut, "words": words}


def render(dialogue: Dialogue, path: Path) -> int:
    """Write the Recording `path`.wav and .jsonl -> its length in samples. The .jsonl appears last, when all is done."""
    placed = place(dialogue)
    end = max((p.end for p in placed), default=0) + _samples(dialogue.rest_ms)
    ticks = -(-end // FRAME_SAMPLES)
    user = user_channel(dialogue, placed, ticks * FRAME_SAMPLES)
    agent, text = agent_channel(placed, ticks)
    part = path.with_name(f".{path.name}.part")
    meta = {"dialogue": dialogue.as_json() | {"lines": [p.as_json() for p in placed]}}
    with RecordingWriter(part, meta) as writer:
        for t, (heard, said) in enumerate(zip(user, agent, strict=True)):
            writer.append(Frame(t, heard), Frame(t, said, text=text[t]))
    for suffix in (".wav", ".jsonl"):
        part.with_name(part.name + suffix).replace(path.with_name(path.name + suffix))
    return ticks * FRAME_SAMPLES


def own_ticks(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """(user, agent), float32 [samples] each: what was heard and said in the same ticks, as a model is trained on it."""
    n = len(recording.ticks) * FRAME_SAMPLES
    lag = PLAYOUT_LAG * FRAME_SAMPLES
    return recording.user[:n], recording.agent[lag : lag + n]


# --- when -------------------------------------------------------------------------------------------------------------


def place(dialogue: Dialogue) -> list[Placed]:
    """Every line with its sound and its time; interrupted lines cut."""
    placed: list[Placed] = []
    for i, line in enumerate(dialogue.lines):
        begin = _samples(line.gap_ms) + (0 if line.after == START else placed[line.after].word_end(line.word))
        if line.who == "agent":
            clip, begin = _agent_clip(line.text), next_frame(begin)
        else:
            clip = _user_clip(dialogue, line, i)
        placed.append(Placed(line, clip, begin))
        if line.stops is not None:
            _cut(placed[line.stops], next_frame(begin) + line.stop_ticks * FRAME_SAMPLES)
    return placed


def _samples(ms: float) -> int:
    return round(ms * SAMPLE_RATE / 1000)


def next_frame(sample: int) -> int:
    """The first frame boundary at or after `sample`."""
    return -(-sample // FRAME_SAMPLES) * FRAME_SAMPLES


def _cut(placed: Placed, end: int) -> None:
    """Let the line fade out and end at `end`; words that had not begun are gone."""
    length = end - placed.begin
    if length >= len(placed.clip.pcm):
        return
    pcm = placed.clip.pcm[:length].copy()
    pcm[-FADE_SAMPLES:] *= np.linspace(1, 0, FADE_SAMPLES, dtype=np.float32)
    words = tuple(Word(w, b, min(e, length)) for w, b, e in placed.clip.words if b < length - FADE_SAMPLES)
    placed.clip, placed.cut = Clip(pcm, words), True


# --- what -------------------------------------------------------------------------------------------------------------


def _agent_clip(text: str) -> Clip:
    """Its sentences, each from a frame boundary."""
    pcm: list[np.ndarray] = []
    words: list[Word] = []
    at = 0
    for sentence in sentences(text):
        clip = agent_says(sentence)
        at = at and next_frame(at) + SENTENCE_GAP_TICKS * FRAME_SAMPLES
        pcm += [np.zeros(at - sum(map(len, pcm)), np.float32), clip.pcm]
        words += [Word(w, at + b, at + e) for w, b, e in clip.words]
        at += len(clip.pcm)
    return Clip(np.concatenate(pcm), tuple(words))


def _user_clip(dialogue: Dialogue, line: Line, index: int) -> Clip:
    rng = np.random.default_rng((dialogue.seed, index))
    gain = 10 ** ((line.level_db + dialogue.channel.level_db) / 20)
    if not line.text:
        return Clip(_bang(rng) * np.float32(gain), ())
    voice = dialogue.other if line.who == "other" else dialogue.voice
    clip = speaker(voice.engine).speak(line.text, voice, int(rng.integers(2**31)))
    clip = replace(clip, pcm=levelled(clip.pcm, gain))
    for word, ms in sorted(line.pauses, reverse=True):
        clip = _paused(clip, word, _samples(ms))
    return clip


def _paused(clip: Clip, word: int, length: int) -> Clip:
    """Silence of `length` samples after a word, with soft edges."""
    at = clip.words[word].end
    fade = np.linspace(1, 0, 240, dtype=np.float32)[: min(at, len(clip.pcm) - at)]
    before, after = clip.pcm[:at].copy(), clip.pcm[at:].copy()
    before[len(before) - len(fade) :] *= fade
    after[: len(fade)] *= fade[::-1]
    later = (Word(w, b + length, e + length) for w, b, e in clip.words[word + 1 :])
    return Clip(np.concatenate([before, np.zeros(length, np.float32), after]), (*clip.words[: word + 1], *later))


def _bang(rng: np.random.Generator) -> np.ndarray:
    """Something that is not speech: a burst of coloured noise, 50 to 800 ms."""
    n = int(rng.integers(SAMPLE_RATE // 20, SAMPLE_RATE * 8 // 10))
    decay = np.exp(-np.linspace(0, rng.uniform(1, 8), n))
    return (hiss(n, rng.random(), rng) * decay * SPEECH_RMS).astype(np.float32)


# --- through which air ------------------------------------------------------------------------------------------------


def user_channel(dialogue: Dialogue, placed: list[Placed], samples: int) -> np.ndarray:
    """float32 [ticks, 1920]: what reaches the agent."""
    rng = np.random.default_rng((dialogue.seed, len(placed)))
    pcm = np.zeros(samples, np.float32)
    for p in placed:
        if p.line.who != "agent":
            pcm[p.begin : p.end] += p.clip.pcm
    return np.clip(transformed(pcm, dialogue.channel, rng), -1, 1).reshape(-1, FRAME_SAMPLES)


def agent_channel(placed: list[Placed], ticks: int) -> tuple[np.ndarray, list[str]]:
    """(float32 [ticks, 1920], the words of every tick), on the agent's own ticks: PLAYOUT_LAG before they sound."""
    pcm, text = np.zeros((ticks + PLAYOUT_LAG) * FRAME_SAMPLES, np.float32), [""] * ticks
    for p in placed:
        if p.line.who == "agent":
            pcm[p.begin : p.end] += p.clip.pcm
            for word in p.clip.words:
                text[(p.begin + word.begin) // FRAME_SAMPLES - PLAYOUT_LAG] += f"{word.text} "
    return pcm.reshape(-1, FRAME_SAMPLES)[PLAYOUT_LAG:], text


# --- a set ------------------------------------------------------------------------------------------------------------


def make(
    out: Path,
    minutes: float,
    seed: int,
    split: Split,
    greeting: float = 0.0,
    engines: Iterable[str] = DEFAULT,
) -> Iterator[float]:
    """Dialogues in `out` until they last `minutes`; those that are there already count. Yields each one's minutes."""
    made, index = 0.0, 0
    while made < minutes:
        path = out / f"{split}-{seed}-{index:05d}"
        planned = plan(seed * 1_000_000 + index, split, greeting=greeting, engines=engines)
        samples = _length(path) or render(planned, path)
        made, index = made + samples / SAMPLE_RATE / 60, index + 1
        yield samples / SAMPLE_RATE / 60


def _length(path: Path) -> int:
    """Samples of a finished recording, 0 if it is not there."""
    if not path.with_name(path.name + ".jsonl").exists():
        return 0
    with wave.open(str(path.with_name(path.name + ".wav"))) as wav:
        return wav.getnframes() - PLAYOUT_LAG * FRAME_SAMPLES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m weights.synth", description="Make dialogues to train on.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=get_args(Split), default="train")
    parser.add_argument("--greeting", type=float, default=0.0, help="share of dialogues that the agent opens")
    add_engines(parser)
    given = parser.parse_args()
    with Progress() as progress:
        task = progress.add_task(f"{given.split} dialogues, minutes", total=given.minutes)
        for minutes in make(given.out, given.minutes, given.seed, given.split, given.greeting, given.engines):
            progress.advance(task, minutes)


if __name__ == "__main__":
    main()
