"""What Full-Duplex-Bench's scorer hears in a recording: words with times, and Silero's segments.

Its transcriber is not ours (parakeet-tdt-0.6b-v2). Words come from its output.json where that was made, else from
whisper tiny.en, else from the agent's own text stream; the scores say which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duplex.frame import FRAME_SECONDS, PLAYOUT_LAG, SAMPLE_RATE
from duplex.recording import Recording
from duplex.turns import speech_spans
from eval.fdb import files
from eval.fdb.outputs import place
from eval.fdb.samples import Sample
from eval.metrics.fdb import Segment, Word, after

SILERO_HZ = 16_000
WORD_GAP_S = 0.5  # letters further apart are of two words
Listener = Callable[[np.ndarray], list[Word]]  # float32 [n] at 24 kHz -> its words, in seconds
Segmenter = Callable[[np.ndarray], list[Segment]]  # float32 [n], taken for 16 kHz -> where somebody speaks, in seconds
WordsOf = Callable[[Recording, Sample], list[Word]]


@dataclass(frozen=True, slots=True)
class Ears:
    """Two ears and what to call them in the scores."""

    words: WordsOf
    words_from: str
    segments: Segmenter


def ears_of(transcribe: bool, folder: Path | None) -> Ears:
    """Words from `folder`, else from whisper if we may `transcribe`, else the agent's own."""
    if folder is not None:
        return Ears(written(folder), f"{files.OUTPUT_WORDS} below the folder given", silero())
    if transcribe:
        from eval.transcribe import whisper_words

        return Ears(heard(whisper_words()), "whisper tiny.en", silero())
    return Ears(own_text, "the agent's own text stream", silero())


def written(folder: Path) -> WordsOf:
    """From FOLDER/SAMPLE/output.json, as FDB's or anybody's transcriber left it; raises BadSample where it did not."""
    return lambda recording, sample: files.words(place(folder, sample.path, files.OUTPUT_WORDS))


def heard(listen: Listener) -> WordsOf:
    """Of the agent's sound; in an interruption, of what follows it, as FDB's transcriber is given it."""

    def words(recording: Recording, sample: Sample) -> list[Word]:
        since = round(since_s(sample) * SAMPLE_RATE)
        return moved(in_speech(recording.agent[since:], listen), since / SAMPLE_RATE)

    return words


def own_text(recording: Recording, sample: Sample) -> list[Word]:
    """Of the agent's text stream: a word sounds from the tick of its first letter to that of its last."""
    letters = [(x, (t.t + PLAYOUT_LAG) * FRAME_SECONDS) for t in recording.ticks for x in t.agent_text]
    words: list[Word] = []
    before, before_s = " ", 0.0
    for letter, begin_s in letters:
        if not letter.isspace():
            begins = before.isspace() or begin_s - before_s > WORD_GAP_S
            word = Word(begin_s, None) if begins else words.pop()
            words.append(Word(word.start, begin_s + FRAME_SECONDS, word.text + letter))
        before, before_s = letter, begin_s
    return after(words, since_s(sample))


def since_s(sample: Sample) -> float:
    """Where FDB's transcriber begins to listen."""
    return sample.from_s if sample.task == "v1 user_interruption" else 0.0


def in_speech(pcm: np.ndarray, listen: Listener) -> list[Word]:
    """float32 [n] at 24 kHz -> its words; a transcriber never gets silence to dream about."""
    spans = speech_spans(pcm)
    if not spans:
        return []
    begin = max(0, spans[0].begin - SAMPLE_RATE // 5)
    return moved(listen(pcm[begin : spans[-1].end + SAMPLE_RATE // 5]), begin / SAMPLE_RATE)


def moved(words: list[Word], by_s: float) -> list[Word]:
    return [Word(w.start + by_s, None if w.end is None else w.end + by_s, w.text) for w in words]


def silero() -> Segmenter:
    """Silero's own segments with its own defaults."""
    from silero_vad import get_speech_timestamps, load_silero_vad

    model = load_silero_vad(onnx=True)

    def segments(pcm: np.ndarray) -> list[Segment]:
        found = get_speech_timestamps(pcm, model)  # type: ignore[arg-type]  # it makes a tensor of it
        return [Segment(one["start"] / SILERO_HZ, one["end"] / SILERO_HZ) for one in found]

    return segments
