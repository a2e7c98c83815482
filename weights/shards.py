"""Dialogues as tokens on disk: written by `weights.tokens`, read by `weights.train_moshi`.

A folder holds `format.json` and `words.json`, and one folder a writer: `codes.i16` [F, 1 + 2 K] (text, agent, user; all
on the agent's own ticks), `words.i16` [F] (which of the user's words ended in the frame before, 0 for none) and
`index.jsonl` (one line a dialogue: its frames, what is in it). A line counts; frames that no line claims do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

Spans = Sequence[tuple[int, int]]  # [begin, end) in ticks
FORMAT, WORDS = "format.json", "words.json"


class NoTokens(Exception):
    """There is nothing to train on, or it does not fit together; the message says what is missing or differs."""


@dataclass(frozen=True)
class Format:
    """What the tokens mean. Data of different formats cannot be mixed."""

    codebooks: int  # K, of each side
    silence: tuple[int, ...]  # [K], Mimi's codes of long silence
    mimi: str  # sha256 of the codec's weights
    tokenizer: str  # sha256


@dataclass(frozen=True, eq=False)
class Tokens:
    """One dialogue."""

    codes: np.ndarray  # int16 [T, 1 + 2 K]
    words: np.ndarray  # int16 [T]
    info: Mapping[str, Any]  # "id", unique; "spoken", "replies" and "late" in ticks; whatever else helps people


class Writer:
    """Appends dialogues to one shard. What a killed run left without a line is overwritten."""

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [(folder / "codes.i16", width), (folder / "words.i16", 1)]
        self._index = folder / "index.jsonl"
        lines = _lines(self._index)
        self._index.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self._end = lines[-1]["end"] if lines else 0
        for path, columns in self._paths:
            with path.open("ab") as file:
                file.truncate(self._end * columns * 2)

    def append(self, tokens: Tokens) -> None:
        for (path, _), array in zip(self._paths, (tokens.codes, tokens.words), strict=True):
            with path.open("ab") as file:
                file.write(np.ascontiguousarray(array, "<i2").tobytes())
        begin, self._end = self._end, self._end + len(tokens.words)
        with self._index.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"begin": begin, "end": self._end, **tokens.info}) + "\n")


def write_format(out: Path, form: Format, words: Sequence[str]) -> None:
    """Say what the tokens in `out` mean. Raises NoTokens when it already holds tokens of another meaning."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / FORMAT).exists() and read_format(out) != (form, list(words)):
        raise NoTokens(f"{out} holds tokens of another codec, tokenizer or list of words; write into another folder")
    (out / FORMAT).write_text(json.dumps(asdict(form)) + "\n", encoding="utf-8")
    (out / WORDS).write_text(json.dumps(list(words), ensure_ascii=False) + "\n", encoding="utf-8")


def read_format(folder: Path) -> tuple[Format, list[str]]:
    """Raises NoTokens."""
    try:
        given = json.loads((folder / FORMAT).read_text(encoding="utf-8"))
        words = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        return Format(**given | {"silence": tuple(given["silence"])}), words
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoTokens(f"{folder} holds no tokens ({error}); make some with python -m weights.tokens") from None


def written(out: Path) -> Iterator[dict[str, Any]]:
    """The lines of all dialogues in `out`."""
    for index in sorted(out.glob("*/index.jsonl")):
        yield from _lines(index)


@dataclass(frozen=True, eq=False)
class _Dialogue:
    shard: int
    begin: int  # frames of the shard
    length: int
    starts: np.ndarray  # ticks at which nobody speaks, so that a session could begin
    replies: tuple[int, ...]  # first ticks of the agent's replies
    late: Spans  # in which the agent puts off what it should do: no target


@dataclass(frozen=True, eq=False)
class Batch:
    """Segments of dialogues, T ticks each; where one is over, text and words are -1 and codes are silence."""

    codes: np.ndarray  # int64 [B, 1 + 2 K, T]
    words: np.ndarray  # int64 [B, T]
    replies: np.ndarray  # bool [B, T]: the agent's reply begins
    late: np.ndarray  # bool [B, T]: not to be learnt from
    overdue: np.ndarray  # int64 [B, T]: where it does at last what it put off, for how many ticks; else 0


class TokenData:
    """All dialogues of some folders, read where they lie."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises NoTokens."""
        self.format, self.words = read_format(folders[0])
        if any(read_format(folder) != (self.format, self.words) for folder in folders):
            raise NoTokens(f"{', '.join(map(str, folders))} differ in codec, tokenizer or list of words")
        shards = sorted(index.parent for folder in folders for index in folder.glob("*/index.jsonl"))
        width = 1 + 2 * self.format.codebooks
        filled = [(shard, lines) for shard in shards if (lines := _lines(shard / "index.jsonl"))]
        self._codes = [np.memmap(shard / "codes.i16", "<i2", "r").reshape(-1, width) for shard, _ in filled]
        self._words = [np.memmap(shard / "words.i16", "<i2", "r") for shard, _ in filled]
        self._dialogues = [_dialogue(i, line) for i, (_, lines) in enumerate(filled) for line in lines]
        if not self._dialogues:
            raise NoTokens(f"{', '.join(map(str, folders))}: not one dialogue is finished")
        self.frames = sum(d.length for d in self._dialogues)
        self._shares = np.array([d.length for d in self._dialogues]) / self.frames

    def draw(self, rng: np.random.Generator, count: int, ticks: int) -> Batch:
        """Segments that begin anywhere where nobody speaks, longer dialogues more often."""
        chosen = [self._dialogues[i] for i in rng.choice(len(self._shares), count, p=self._shares)]
        return self._cut([(d, int(rng.choice(_early(d.starts, d.length - ticks)))) for d in chosen], ticks)

    def first(self, count: int, ticks: int) -> Batch:
        """The beginnings of `count` dialogues, evenly spread: always the same ones."""
        which = np.linspace(0, len(self._dialogues) - 1, min(count, len(self._dialogues))).astype(int)
        return self._cut([(self._dialogues[i], 0) for i in which], ticks)

    def _cut(self, places: Sequence[tuple[_Dialogue, int]], ticks: int) -> Batch:
        width = 1 + 2 * self.format.codebooks
        codes = np.empty((len(places), width, ticks), np.int64)
        codes[:] = np.array([-1, *self.format.silence, *self.format.silence])[:, None]
        words = np.full((len(places), ticks), -1, np.int64)
        replies, late = np.zeros((2, len(places), ticks), bool)
        overdue = np.zeros((len(places), ticks), np.int64)
        for row, (d, at) in enumerate(places):
            n = min(ticks, d.length - at)
            frames = slice(d.begin + at, d.begin + at + n)
            codes[row, :, :n] = self._codes[d.shard][frames].T
            words[row, :n] = self._words[d.shard][frames]
            replies[row, [t - at for t in d.replies if at <= t < at + n]] = True
            for begin, end in d.late:
                late[row, max(0, begin - at) : max(0, end - at)] = True
                if at <= end < at + n:
                    overdue[row, end - at] = end - begin
        return Batch(codes, words, replies, late, overdue)


def _early(starts: np.ndarray, last: int) -> np.ndarray:
    """Those up to `last`, so that a segment is full; the first one where there is none."""
    early = starts[starts <= last]
    return early if len(early) else starts[:1]


def _dialogue(shard: int, line: Mapping[str, Any]) -> _Dialogue:
    length = line["end"] - line["begin"]
    free = np.ones(length, bool)
    late = tuple((max(0, begin), end) for begin, end in line.get("late", ()))
    for begin, end in (*line.get("spoken", ()), *late):  # who begins where an answer is owed learns to speak unasked
        free[max(0, begin) : end] = False
    starts = np.flatnonzero(free)
    replies = tuple(t for t in line.get("replies", ()) if 0 <= t < length)
    return _Dialogue(shard, line["begin"], length, starts if len(starts) else np.zeros(1, int), replies, late)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines; a half-written last one is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]
