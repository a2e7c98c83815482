"""Utterances to train a codec on: `python -m weights.bank --out DIR --minutes M --seed S --split train`.

Two banks in DIR. `user`: many voices, and beside each the agent's own voice saying the same at the same moments, which
is what the codec shall hear in it. `agent`: the agent's sentences, once each, and where asked for words in no order
(`--anything MINUTES`). Both are runs of 80 ms frames in memory-mapped files: heard and meant (int16 [F, 1920]), phones
(uint8 [F, 4], see `weights.phones`), paired (uint8 [F]), words (int16 [F], see `weights.vocabulary`).
The air between user and agent is added in training, anew each time.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from rich.progress import Progress

from duplex.frame import FRAME_SAMPLES
from weights.air import levelled
from weights.flags import add_engines
from weights.intents import Split, held_out_sentence, sentences
from weights.phones import SLOTS, labels
from weights.plan import plan
from weights.sayings import sections
from weights.speech import Pairing
from weights.text import replies
from weights.vocabulary import vocabulary, word_ends
from weights.voices import AGENT, DEFAULT, Clip, Voice, agent_says, speaker, varied, voices

_FILES = {
    "heard": ("<i2", FRAME_SAMPLES),
    "meant": ("<i2", FRAME_SAMPLES),
    "phones": ("u1", SLOTS),
    "paired": ("u1", 1),
    "words": ("<i2", 1),
}
_WHOLE_SHARE: dict[Split, float] = {"train": 0.15, "test": 1.0}  # of the users' lines: whole sentences
_SALAD_SHARE = 0.5  # of the others: words in no order; the rest is pieces of several sentences
_PIECES, _PIECE_WORDS = (2, 4), (1, 5)  # in a line; in a piece
_LINES = (1, 4)  # in one breath
_SILENCE_FRAMES = (2, 9)  # after an utterance
_ANYTHING_WORDS = (3, 9)  # in no order, of the agent's


class NoBank(Exception):
    """The folder holds no bank; the message says how to make one."""


class Sound:
    """The frames of all shards, which stay in their files: together they are more than fits into memory."""

    def __init__(self, shards: Sequence[np.ndarray]) -> None:
        self._shards, self._ends = shards, np.cumsum([len(shard) for shard in shards])

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """int64 [T], all of one shard, as `Bank.segments` gives them -> int16 [T, 1920]"""
        shard = int(np.searchsorted(self._ends, numbers[0], side="right"))
        return self._shards[shard][numbers - (self._ends[shard] - len(self._shards[shard]))]

    def __len__(self) -> int:
        return int(self._ends[-1])


@dataclass(frozen=True)
class Bank:
    heard: Sound
    meant: Sound
    phones: np.ndarray
    paired: np.ndarray
    words: np.ndarray
    shards: tuple[int, ...]  # frames of each

    @classmethod
    def open(cls, folder: Path) -> Bank:
        """Map a bank, all of its shards. Raises NoBank."""
        shards = sorted({path.parent for path in folder.rglob("phones.bin")})
        if not shards:
            raise NoBank(f"{folder} holds no utterances; make some: python -m weights.bank --out {folder.parent}")
        lengths = [min(len(_mapped(shard, name)) for name in _FILES) for shard in shards]  # one may still be growing
        parts = {n: [_mapped(s, n)[:k] for s, k in zip(shards, lengths, strict=True)] for n in _FILES}
        heard, meant = Sound(parts.pop("heard")), Sound(parts.pop("meant"))
        labelled = {name: np.concatenate(part) for name, part in parts.items()}
        return cls(heard, meant, **labelled, shards=tuple(lengths))

    def segments(self, rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
        """Frame numbers int64 [count, frames], from all shards alike. Raises NoBank when one is shorter than that."""
        if min(self.shards) < frames:
            raise NoBank(f"the bank holds {min(self.shards)} frames, a segment takes {frames}; make a longer one")
        shard = rng.integers(len(self.shards), size=count)
        lengths = np.array(self.shards)
        begins = (np.cumsum(lengths) - lengths)[shard] + rng.integers(lengths[shard] - frames + 1)
        return begins[:, None] + np.arange(frames)


def make_users(
    folder: Path, minutes: float, seed: int, split: Split, engines: Iterable[str] = DEFAULT
) -> Iterator[float]:
    """Users' utterances until they last `minutes`. Yields each one's minutes. Raises what `voices` raises."""
    rng, made, n = np.random.default_rng((seed, 1)), 0.0, 0
    known = voices(split, engines)
    with _Writer(folder) as writer:
        for text in asked(seed, split):
            voice = varied(known[int(rng.integers(len(known)))], rng.uniform)
            clip, meant, paired = _spoken(text, voice, seed * 1_000_003 + n)
            frames = writer.append(clip, meant, paired, int(rng.integers(*_SILENCE_FRAMES)), int(rng.integers(1920)))
            made, n = made + frames / 750, n + 1
            yield frames / 750
            if made >= minutes:
                return


def make_agent(folder: Path, held_out: bool) -> Iterator[float]:
    """Each of the agent's sentences once, as it always says them. Yields each one's minutes."""
    rng = np.random.default_rng(0)
    with _Writer(folder) as writer:
        for text in agent_sentences():
            if held_out_sentence(text) == held_out:
                clip = agent_says(text)
                yield writer.append(clip, clip.pcm, True, int(rng.integers(*_SILENCE_FRAMES))) / 750


def make_anything(folder: Path, minutes: float, seed: int) -> Iterator[float]:
    """The agent's voice saying all words in no order until it lasts `minutes`, so that its decoder learns sounds and
    not sentences. Yields each one's minutes."""
    rng, words, made = np.random.default_rng((seed, 3)), [w for w in vocabulary() if w.isalpha()], 0.0
    with _Writer(folder) as writer:
        while made < minutes:
            text = " ".join(rng.choice(words, int(rng.integers(*_ANYTHING_WORDS))))
            pcm = (clip := agent_says(f"{text[0].upper()}{text[1:]}.")).pcm
            frames = writer.append(clip, pcm, True, int(rng.integers(*_SILENCE_FRAMES)), int(rng.integers(1920)))
            made += frames / 750
            yield frames / 750


def agent_sentences() -> list[str]:
    """All that the agent may say, in a fixed order, without repetition."""
    return list(dict.fromkeys(s for text in replies() for s in sentences(text)))


class _Writer:
    """Appends frames to the files of one shard."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._words = {word: i for i, word in enumerate(vocabulary())}
        self._files = {name: (folder / f"{name}.bin").open("wb") for name in _FILES}

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, clip: Clip, meant: np.ndarray, paired: bool, silence: int, offset: int = 0) -> int:
        """The clip from sample `offset` of a frame on, and silence -> how many frames."""
        frames = -(-(offset + len(clip.pcm)) // FRAME_SAMPLES) + silence
        arrays = {
            "heard": _frames(clip.pcm, offset, frames),
            "meant": _frames(meant, offset, frames),
            "phones": labels(((p.kind, offset + p.begin, offset + p.end) for p in clip.phones), frames),
            "paired": np.full((frames, 1), paired, np.uint8),
            "words": word_ends(((offset + w.end, w.text) for w in clip.words), frames, self._words),
        }
        for name, array in arrays.items():
            self._files[name].write(array.tobytes())
        return frames


def _mapped(shard: Path, name: str) -> np.ndarray:
    kind, width = _FILES[name]
    path = shard / f"{name}.bin"
    frames = path.stat().st_size // (np.dtype(kind).itemsize * width)
    return np.memmap(path, kind, "r", shape=(frames, width))


def _frames(pcm: np.ndarray, offset: int, frames: int) -> np.ndarray:
    out = np.zeros(frames * FRAME_SAMPLES, np.float32)
    out[offset : offset + len(pcm)] = pcm
    return (np.clip(out, -1, 1) * 32767).astype("<i2")


def asked(seed: int, split: Split) -> Iterator[str]:
    """What users say, for ever. In training little of it is whole sentences, which an encoder would learn by heart."""
    rng = np.random.default_rng((seed, 2))
    heard = _user_texts(0, split, 400)
    if split == "train":
        heard += [line for lines in sections().values() for line in lines if "{" not in line]  # no templates
    words = sorted({w for text in heard for w in _bare(text)})
    whole = (text for i in itertools.count() for text in _user_texts(seed * 1_000_000 + i, split, 1))
    while True:
        lines = int(rng.integers(*_LINES))
        yield " ".join(
            next(whole) if rng.random() < _WHOLE_SHARE[split] else _made_up(rng, heard, words) for _ in range(lines)
        )


def _made_up(rng: np.random.Generator, heard: list[str], words: list[str]) -> str:
    """Pieces of several sentences in a row, or words in no order."""
    if rng.random() < _SALAD_SHARE:
        said = [str(word) for word in rng.choice(words, int(rng.integers(2, 7)))]
    else:
        said = [w for _ in range(int(rng.integers(*_PIECES))) for w in _piece(rng, heard)]
    return " ".join(said) + (".", "?")[int(rng.integers(2))]


def _piece(rng: np.random.Generator, heard: list[str]) -> list[str]:
    words = _bare(heard[int(rng.integers(len(heard)))])
    count = min(len(words), int(rng.integers(*_PIECE_WORDS)))
    begin = int(rng.integers(len(words) - count + 1))
    return words[begin : begin + count]


def _bare(text: str) -> list[str]:
    return [word.strip(".,!?:;") for word in text.split()]


def _user_texts(first: int, split: Split, count: int) -> list[str]:
    plans = [plan(first + i, split) for i in range(count)]
    return [line.text for p in plans for line in p.lines if line.who != "agent" and line.text]


def _spoken(text: str, voice: Voice, seed: int) -> tuple[Clip, np.ndarray, bool]:
    """(as the user says it, as the agent would, whether the engine can do the latter)."""
    engine = speaker(voice.engine)
    if not isinstance(engine, Pairing):
        clip = engine.speak(text, voice, seed)
        return replace(clip, pcm=levelled(clip.pcm)), np.zeros_like(clip.pcm), False
    clip, meant = engine.pair(text, voice, seed, target=AGENT)
    return replace(clip, pcm=levelled(clip.pcm)), levelled(meant), True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m weights.bank", description="Make utterances to train a codec on.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--minutes", type=float, required=True, help="of users; the agent's sentences are as many as they are"
    )
    parser.add_argument("--anything", type=float, default=0.0, help="minutes of the agent's voice, words in no order")
    parser.add_argument("--seed", type=int, default=0, help="also the name of the shard: two seeds, two processes")
    parser.add_argument("--split", choices=get_args(Split), default="train")
    add_engines(parser)
    given = parser.parse_args()
    users = given.out / "user" / str(given.seed)
    with Progress() as progress:
        task = progress.add_task(f"{given.split} users, minutes", total=given.minutes)
        for minutes in make_users(users, given.minutes, given.seed, given.split, given.engines):
            progress.advance(task, minutes)
        if given.anything:
            task = progress.add_task("the agent's voice, anything, minutes", total=given.anything)
            for minutes in make_anything(given.out / "agent" / f"anything-{given.seed}", given.anything, given.seed):
                progress.advance(task, minutes)
        task = progress.add_task("agent, minutes", total=None)
        for minutes in make_agent(given.out / "agent" / "own", held_out=given.split == "test"):
            progress.advance(task, minutes)


if __name__ == "__main__":
    main()
