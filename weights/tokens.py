"""Dialogues as tokens, to train the LM on:

    python -m weights.tokens --mimi DIR --tokenizer FILE --out DIR --minutes 3600 --seed 0 --split train
    python -m weights.tokens --mimi DIR --tokenizer FILE --out DIR --recordings DIR

The first makes up dialogues (weights/plan.py) until they last so long; the second takes any folder of Recordings. Both
go on where they were stopped. `weights/shards.py` says what is written.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from rich.progress import Progress

from duplex.checkpoint import sha256
from duplex.frame import FRAME_SAMPLES, FRAME_SECONDS
from duplex.recording import NotARecording, Recording
from weights.ear import Ear, open_ear
from weights.flags import add_engines
from weights.intents import Split
from weights.plan import plan
from weights.shards import Format, NoTokens, Tokens, Writer, write_format, written
from weights.splice import Splicer
from weights.synth import own_ticks
from weights.text import Encode, layout, open_tokenizer
from weights.vocabulary import vocabulary
from weights.voices import DEFAULT

_TICKS_A_MINUTE = 60 / FRAME_SECONDS
_CHUNK_TICKS = 375  # of a recording, encoded at a time


@dataclass(frozen=True)
class Job:
    """What all workers do together."""

    mimi: Path
    tokenizer: Path
    out: Path
    codebooks: int = 8
    minutes: float = 60.0
    seed: int = 0
    split: Split = "train"
    greeting: float = 0.0  # share of dialogues that the agent opens
    engines: tuple[str, ...] = DEFAULT  # of the users' voices
    recordings: Path | None = None  # instead of plans
    workers: int = 1
    device: str = "cpu"


def prepare(job: Job) -> None:
    """Make the folder and say in it what the tokens mean. Raises NoTokens when it holds others, OSError."""
    ear = open_ear(job.mimi, job.codebooks, job.device)
    weights = job.mimi / "mimi.safetensors" if job.mimi.is_dir() else job.mimi
    silence = tuple(int(code) for code in ear.silence)
    form = Format(job.codebooks, silence, sha256(weights), sha256(job.tokenizer))
    write_format(job.out, form, vocabulary())


def work(job: Job, worker: int) -> int:
    """One worker's share of the job, into a shard of its own. Returns the ticks written."""
    torch.set_num_threads(1)
    ear, encode = open_ear(job.mimi, job.codebooks, job.device), open_tokenizer(job.tokenizer)
    writer = Writer(job.out / f"{job.split}-{job.seed}-{worker}", 1 + 2 * job.codebooks)
    done = {line["id"]: line["end"] - line["begin"] for line in written(job.out)}
    make = _recorded if job.recordings else _planned
    ticks = 0
    for tokens in make(job, worker, ear, encode, done):
        writer.append(tokens)
        ticks += len(tokens.words)
    return ticks


def _planned(job: Job, worker: int, ear: Ear, encode: Encode, done: dict[str, int]) -> Iterator[Tokens]:
    splicer = Splicer(ear, encode, {word: i for i, word in enumerate(vocabulary())})
    had, made, index = sum(done.values()), 0, worker
    while had + made * job.workers < job.minutes * _TICKS_A_MINUTE:
        seed = job.seed * 1_000_000 + index
        index += job.workers
        if f"{job.split} {seed}" not in done:
            tokens = splicer.tokens(plan(seed, job.split, greeting=job.greeting, engines=job.engines))
            made += len(tokens.words)
            yield tokens


def _recorded(job: Job, worker: int, ear: Ear, encode: Encode, done: dict[str, int]) -> Iterator[Tokens]:
    assert job.recordings
    for path in sorted(job.recordings.rglob("*.jsonl"))[worker :: job.workers]:
        name = str(path.relative_to(job.recordings).with_suffix(""))
        if name not in done and (tokens := of_recording(Recording.open(path), name, ear, encode)):
            yield tokens


def of_recording(recording: Recording, name: str, ear: Ear, encode: Encode) -> Tokens | None:
    """Both sides encoded whole, text where its frames have it; None for a recording without a tick."""
    user, agent = (_whole(pcm, ear) for pcm in own_ticks(recording))
    ticks = min(len(user), len(agent))
    if not ticks:
        return None
    words = [(tick.t, word, ticks) for tick in recording.ticks for word in tick.agent_text.split()]
    text = layout(words, ticks, encode)
    codes = np.concatenate([text[:, None], agent[:ticks], user[:ticks]], axis=1)
    return Tokens(codes, np.zeros(ticks, np.int16), {"id": name})


def _whole(pcm: np.ndarray, ear: Ear) -> np.ndarray:
    """float32 [n] -> int16 [ticks, K], a chunk at a time; a frame begun at the end is left out."""
    return ear.stream(pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES], _CHUNK_TICKS)


def run(job: Job, say: Callable[[float], object] = lambda minutes: None) -> float:
    """All workers, each in a process of its own. Returns the minutes in `out`; tells them to `say` now and then."""
    prepare(job)
    if job.workers == 1:
        work(job, 0)
    else:
        with ProcessPoolExecutor(job.workers, get_context("spawn")) as pool:
            shares = [pool.submit(work, job, worker) for worker in range(job.workers)]
            while not all(share.done() for share in shares):
                time.sleep(1)
                say(_minutes(job.out))
                if failed := next((s for s in shares if s.done() and s.exception()), None):
                    for share in shares:
                        share.cancel()
                    failed.result()
    say(_minutes(job.out))
    return _minutes(job.out)


def _minutes(out: Path) -> float:
    return sum(path.stat().st_size for path in out.glob("*/words.i16")) / 2 / _TICKS_A_MINUTE


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weights.tokens", description="Make tokens to train the LM on.")
    parser.add_argument("--mimi", type=Path, required=True, help="folder of mimi.safetensors and mimi_config.json")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a SentencePiece model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=get_args(Split), default="train")
    parser.add_argument("--greeting", type=float, default=0.0, help="share of dialogues that the agent opens")
    add_engines(parser)
    parser.add_argument("--recordings", type=Path, help="a folder of Recordings instead of made-up dialogues")
    parser.add_argument("--codebooks", type=int, default=8, help="of each side; default: %(default)s")
    parser.add_argument("--processes", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="for the codec; default: %(default)s")
    args = vars(parser.parse_args(argv))
    job = Job(**{("workers" if key == "processes" else key): value for key, value in args.items()})
    try:
        with Progress() as progress:
            task = progress.add_task("tokens, minutes", total=None if job.recordings else job.minutes)
            run(job, lambda minutes: progress.update(task, completed=minutes))
    except (NoTokens, NotARecording, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
