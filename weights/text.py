"""The agent's text stream: a SentencePiece model of what is said here, and words laid out one piece a tick.

    python -m weights.text --out tokenizer.model

Ids 0 and 3 are those of duplex/engine/text.py: SentencePiece's <unk> and <pad>, which no piece of text ever is.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import ascii_letters

import numpy as np
import sentencepiece

from duplex.engine.text import END_OF_PAD, PAD
from weights.intents import UNKNOWN, intents
from weights.sayings import section
from weights.scenes import AGENT_BACKCHANNELS, GREETING

CARD = 1000  # pieces: two ticks a word
Encode = Callable[[str], Sequence[int]]  # a word -> its pieces


def replies() -> list[str]:
    """All that the agent says of its own accord, in a fixed order."""
    answers = [intent.answered(slot) for intent in intents().values() for slot in intent.slots]
    return [GREETING, *AGENT_BACKCHANNELS, *answers]


def agent_texts() -> list[str]:
    """What the agent may say, in a fixed order, and every letter: what the tokenizer learns from."""
    return list(dict.fromkeys([*replies(), *section("sayings"), *section("words"), " ".join(ascii_letters)]))


def sentences() -> list[str]:
    """All that agents and users may say of the intents, in a fixed order."""
    found: dict[str, None] = {}
    for intent in intents().values():
        for slot in intent.slots:
            found[intent.answered(slot)] = None
            asks = (*intent.wordings, *intent.more)
            found |= dict.fromkeys(intent.asked(wording, slot) for wording in asks)
    return [*found, UNKNOWN.reply]


def train_tokenizer(texts: Iterable[str], out: Path, card: int = CARD) -> Path:
    """A unigram model of exactly `card` pieces as the file `out`; the same texts give the same bytes.

    Raises ValueError when the texts do not hold so many pieces, or more letters than that.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="unigram",
            vocab_size=card,
            character_coverage=1.0,
            normalization_rule_name="identity",
            unk_id=END_OF_PAD,
            bos_id=1,
            eos_id=2,
            pad_id=PAD,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(f"no tokenizer of {card} pieces can be made of these texts: {error}") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(model.getvalue())
    return out


def open_tokenizer(path: Path) -> Encode:
    """word -> pieces. Raises OSError when there is no such file."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return lambda word: [piece for piece in pieces.encode(word) if piece not in (END_OF_PAD, PAD)]


def layout(words: Iterable[tuple[int, str, int]], ticks: int, encode: Encode) -> np.ndarray:
    """(tick, word, end) in order of time -> int16 [ticks]: a word's pieces from its tick on, one a tick.

    A word that comes while another is still being written waits; what does not fit before its `end` is left out.
    END_OF_PAD stands in the tick before a word, unless a piece does; PAD stands elsewhere.
    """
    text = np.full(ticks, PAD, np.int16)
    free = 0
    for tick, word, end in words:
        at = max(tick, free)
        pieces = encode(word)[: max(0, min(end, ticks) - at)]
        if not pieces:
            continue
        if at and text[at - 1] == PAD:
            text[at - 1] = END_OF_PAD
        free = at + len(pieces)
        text[at:free] = pieces
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m weights.text", description="Train the tokenizer.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", type=int, default=CARD, help="pieces (default: %(default)s)")
    given = parser.parse_args()
    train_tokenizer(agent_texts(), given.out, given.card)


if __name__ == "__main__":
    main()
