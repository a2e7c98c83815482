"""The codec alone: agent sentences it never saw, through the stock streaming Mimi and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from duplex.checkpoint import locate
from duplex.codec import Codec, open_codec
from duplex.frame import FRAME_SAMPLES, frames_of
from eval.metrics.speech import dnsmos
from eval.metrics.words import Transcriber
from weights.bank import agent_sentences
from weights.check.table import Miss, Row
from weights.check.words import edits, normalised, word_errors
from weights.intents import held_out_sentence
from weights.voices import agent_says


def held_out() -> list[str]:
    """The agent's sentences that no codec is trained on."""
    return sorted(text for text in agent_sentences() if held_out_sentence(text))


def through(codec: Codec, pcm: np.ndarray) -> np.ndarray:
    """float32 [n] -> what comes out of a fresh stream, frame by frame, float32 [whole frames]."""
    codec.reset()
    return np.concatenate([codec.decode(codec.encode(frame.pcm)) for frame in frames_of(pcm) if frame.pcm is not None])


def codec_rows(checkpoint: str, n: int, seed: int, transcribe: Transcriber) -> list[Row]:
    """Word errors and DNSMOS of `n` held-out sentences; the clean voice beside it."""
    codec, rng = open_codec(locate(checkpoint)), np.random.default_rng(seed)
    texts = [str(t) for t in rng.permutation(held_out())[:n]]
    clean = [_padded(agent_says(text).pcm) for text in texts]
    made = [through(codec, pcm) for pcm in clean]
    heard = [transcribe(pcm) for pcm in made]
    value, plain = (
        _percent(zip(texts, heard, strict=True)),
        _percent((t, transcribe(c)) for t, c in zip(texts, clean, strict=True)),
    )
    wrong = [
        Miss("codec", t, t, h, "misheard")
        for t, h in zip(texts, heard, strict=True)
        if edits(normalised(t), normalised(h))
    ]
    return [
        Row(
            "codec: word errors, held-out sentences",
            value,
            "%",
            len(texts),
            ("<=", 10),
            None,
            f"clean voice {plain} %",
            tuple(wrong),
        ),
        _quality([voice[: len(pcm)] for voice, pcm in zip(made, clean, strict=True)], clean),
    ]


def _percent(pairs: Iterator[tuple[str, str]] | zip[tuple[str, str]]) -> float | None:
    errors = word_errors(pairs)
    return None if errors is None else round(100 * errors, 1)


def _padded(pcm: np.ndarray) -> np.ndarray:
    """Two frames of silence before, two after: the codec's start and its delay are not the voice's fault."""
    still = np.zeros(2 * FRAME_SAMPLES, np.float32)
    return np.concatenate([still, pcm, still])


def _quality(made: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> Row:
    """One sentence after the other, as the judge scores a conversation. DNSMOS wants 9 s: the score of a sentence that
    is repeated until it is so long depends on the seams, by 0.1 on 20 ms of silence at its end."""
    what = "codec: DNSMOS OVRL"
    scores = [dnsmos([np.concatenate(pcms)]) for pcms in (made, clean)]
    if scores[0] is None or scores[1] is None:
        return Row(what, None, "MOS", 0, (">=", 2.7), note="not measured: pip install speechmos")
    return Row(what, scores[0], "MOS", len(made), (">=", 2.7), note=f"clean voice {scores[1]:g}")
