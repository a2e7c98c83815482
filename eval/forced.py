"""How well the native agent voices words that are given to it (Say), in silence:

    python -m eval.forced --checkpoint nano --n 40

Half of the sentences are replies that nano was taught, half are free: nobody taught it those. Whisper tiny.en reads the
sound back. Printed are the word error rate and the share of sentences whose content words are all heard, with 95 %
intervals over sentences, and whether the text stream carried the words.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sphn

from duplex.agents import open_agent
from duplex.checkpoint import BadFile, MissingFile
from duplex.config import ConfigError
from duplex.engine.spelling import spelled
from duplex.frame import FRAME_SECONDS, SAMPLE_RATE, silence
from duplex.notes import Say
from duplex.session import Agent, Sampling, SessionConfig
from eval.metrics.words import Transcriber, transcript_of
from eval.transcribe import whisper
from weights.check.words import edits, normalised, word_errors
from weights.intents import intents

FREE = (
    *(
        "It is sunny in Paris today.",
        "The weather in London is cloudy.",
        "It is raining in Berlin.",
        "Take an umbrella.",
    ),
    *("The temperature is twenty degrees.", "It will be cold tomorrow.", "There is snow in the mountains."),
    *("Your order is on its way.", "The next train leaves at nine.", "Your table is booked for seven."),
    *("The light in the kitchen is on.", "I have set a timer for ten minutes.", "You have three new messages."),
    *("The shop opens at eight.", "Your flight is on time.", "The meeting is on Monday.", "The door is locked."),
    *("The price is fifteen dollars.", "It is windy and warm.", "I will call you back on Friday."),
)
_LITTLE = frozenset(normalised("a an the is are am was be will it i you your my in on at of for to and or has have"))
_LEAD_S, _TAIL_S = 1.2, 1.6  # of silence before and after


@dataclass(frozen=True)
class Voiced:
    """One sentence, said."""

    wanted: str
    written: str  # in the text stream
    heard: str  # by the transcriber
    taught: bool

    @property
    def whole(self) -> bool:
        """Every content word is heard."""
        heard = set(normalised(self.heard))
        return all(word in heard for word in normalised(self.wanted) if word not in _LITTLE)


def sentences(n: int, seed: int = 0) -> list[tuple[str, bool]]:
    """(sentence, whether nano was taught it): taught and free ones by turns."""
    rng = np.random.default_rng(seed)
    table = list(intents().values())
    taught = [i.answered(i.slots[int(rng.integers(len(i.slots)))]) for i in table if not i.is_long]
    rng.shuffle(taught)
    pairs = [((taught if k % 2 else FREE), k // 2, bool(k % 2)) for k in range(n)]
    return [(spelled(source[k % len(source)]), known) for source, k, known in pairs]


async def say(agent: Agent, text: str, seed: int) -> tuple[np.ndarray, str]:
    """-> (float32 [n], text stream): what the agent makes of it, with nobody speaking to it."""
    session = await agent.open(SessionConfig(sampling=Sampling(text_seed=seed, audio_seed=seed)))
    lead, said = round(_LEAD_S / FRAME_SECONDS), []
    seconds = _LEAD_S + _TAIL_S + 0.6 * len(text.split()) + 0.08 * len(text)
    try:
        for t in range(round(seconds / FRAME_SECONDS)):
            if t == lead:
                await session.tell(Say(text))
            said.append(await session.step(silence(t)))
    finally:
        await session.close()
    return np.concatenate([frame.pcm for frame in said]), "".join(frame.text for frame in said).strip()


async def _voiced(
    agent: Agent, lines: Sequence[tuple[str, bool]], transcribe: Transcriber, keep: Path | None
) -> list[Voiced]:
    """Every sentence in a session of its own; `keep`: a folder for the WAVs."""
    out = []
    for k, (text, taught) in enumerate(lines):
        pcm, written = await say(agent, text, seed=k)
        one = Voiced(text, written, transcript_of(pcm, transcribe), taught)
        kind = "taught" if taught else "free  "
        print("+" if one.whole else "-", kind, text, "|", written, "|", one.heard, flush=True)
        out.append(one)
        if keep:
            sphn.write_wav(str(keep / f"{k:03}.wav"), pcm, SAMPLE_RATE)
    return out


def figures(said: Sequence[Voiced]) -> str:
    """One line: how many, word error rate, sentences whole, text right; with bootstrap intervals."""
    errors = np.array([edits(normalised(s.wanted), normalised(s.heard)) for s in said], float)
    words = np.array([len(normalised(s.wanted)) for s in said], float)
    whole = np.array([s.whole for s in said], float)
    pooled = word_errors((s.wanted, s.heard) for s in said)
    written = np.mean([normalised(s.wanted) == normalised(s.written)[: len(normalised(s.wanted))] for s in said])
    low, high = _interval(errors, words)
    bottom, top = _interval(whole, np.ones(len(said)))
    return (
        f"n={len(said)}  word error rate {pooled:.3f} [{low:.3f}, {high:.3f}]  "
        f"all content words {whole.mean():.3f} [{bottom:.3f}, {top:.3f}]  text stream right {written:.3f}"
    )


def _interval(parts: np.ndarray, of: np.ndarray, draws: int = 2_000) -> tuple[float, float]:
    """95 % of sum(parts) / sum(of), sentences drawn anew."""
    picks = np.random.default_rng(0).integers(len(parts), size=(draws, len(parts)))
    low, high = np.percentile(parts[picks].sum(axis=1) / of[picks].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.forced", description="How well given words are voiced.")
    parser.add_argument(
        "--checkpoint", default="nano", help="a name in the manifest, or a folder (default: %(default)s)"
    )
    parser.add_argument("--n", type=int, default=40, help="sentences (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to put what was said, as WAVs")
    args = parser.parse_args(argv)
    try:
        agent = open_agent("native", {"checkpoint": args.checkpoint, "seats": 1})
        transcribe = whisper()
    except (BadFile, MissingFile, ConfigError) as error:
        print(f"eval.forced: {error}", file=sys.stderr)
        return 2
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    said = asyncio.run(_all(agent, sentences(args.n), transcribe, args.keep))
    taught, free = ([s for s in said if s.taught == known] for known in (True, False))
    for name, group in (("all", said), ("taught", taught), ("free", free)):
        if group:
            print(f"{name:7}", figures(group))
    return 0


async def _all(
    agent: Agent, lines: Sequence[tuple[str, bool]], transcribe: Transcriber, keep: Path | None
) -> list[Voiced]:
    try:
        return await _voiced(agent, lines, transcribe, keep)
    finally:
        await agent.close()


if __name__ == "__main__":
    sys.exit(main())
