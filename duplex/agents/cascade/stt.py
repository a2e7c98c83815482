"""Speech-to-text: a turn of audio -> its words, or "" when it held none."""

from __future__ import annotations

import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer

from duplex.agents.cascade.config import SttConfig
from duplex.agents.cascade.due import in_thread
from duplex.agents.cascade.vad import EAR_HZ
from duplex.checkpoint import locate

_MEL_HZ = 100
# Whisper was trained on windows of 30 s, and its time is nearly all encoder, linear in the window. For a short turn ten
# seconds give the same words at 0.3 of the cost; windows cut close to the speech make it repeat itself for ever.
_WINDOW_S, _MARGIN_S = 10.0, 1.5
_GLANCE_S = 18.0  # a longer turn in one window, without timestamps, loses its beginning
_LOOPS = 2.4  # how far text compresses when it repeats itself: whisper's own threshold
_MAX_TOKENS = 200
_SURELY_SILENT, _UNSURE = 0.6, -1.0  # whisper's own thresholds, for both together
_FAINT_DBFS = -42.0  # the loudest 100 ms of a turn: below, the stock phrases are hallucinations
_STOCK = frozenset(("you", "thank you", "thanks", "thanks for watching", "thank you for watching", "bye", "so", "the"))


class Transcriber(Protocol):
    async def transcribe(self, pcm: np.ndarray) -> str: ...  # float32 [n] at 16 kHz -> words, or ""
    def close(self) -> None: ...


class Whisper:
    """faster-whisper, greedy, English, one turn at a time in its own thread."""

    def __init__(self, config: SttConfig) -> None:
        folder = str(locate(config.model).folder)
        self._whisper = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=config.threads)
        multilingual = self._whisper.model.is_multilingual
        task = {"task": "transcribe", "language": "en"} if multilingual else {}
        self._tokenizer = Tokenizer(self._whisper.hf_tokenizer, multilingual, **task)
        self._prompt = self._whisper.get_prompt(self._tokenizer, [], without_timestamps=True)
        self._pool = ThreadPoolExecutor(1, "cascade-stt")
        self._words(np.zeros(EAR_HZ, np.float32))  # the first call allocates

    async def transcribe(self, pcm: np.ndarray) -> str:
        return await in_thread(self._pool, self._words, pcm)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _words(self, pcm: np.ndarray) -> str:
        seconds = len(pcm) / EAR_HZ
        text = self._at_a_glance(pcm, max(_WINDOW_S, seconds + _MARGIN_S)) if seconds <= _GLANCE_S else None
        if text is None or loops(text):
            text = self._carefully(pcm)
        return "" if is_nonsense(text, pcm) else text

    def _at_a_glance(self, pcm: np.ndarray, window_s: float) -> str:
        features = pad_or_trim(self._whisper.feature_extractor(pcm, padding=0), round(window_s * _MEL_HZ))
        result = self._whisper.model.generate(
            self._whisper.encode(features),
            [self._prompt],
            beam_size=1,
            max_length=_MAX_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        if result.no_speech_prob > _SURELY_SILENT and result.scores[0] < _UNSURE:
            return ""
        return self._tokenizer.decode(result.sequences_ids[0]).strip()

    def _carefully(self, pcm: np.ndarray) -> str:
        """The library's own way: windows of 30 s, with timestamps to step through them."""
        segments, _ = self._whisper.transcribe(
            pcm, language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False
        )
        return "".join(segment.text for segment in segments).strip()


def loops(text: str) -> bool:
    """Whether the text says the same thing over and over."""
    data = text.encode()
    return len(data) > 0 and len(data) / len(zlib.compress(data)) > _LOOPS


def is_nonsense(text: str, pcm: np.ndarray) -> bool:
    """Whether whisper made the text up: no letters, a sound in brackets, a stock phrase out of near silence."""
    spoken = re.sub(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*", "", text)
    words = re.sub(r"[^a-z' ]", "", spoken.lower()).strip()
    return not re.search(r"\w", spoken) or (words in _STOCK and _loudest_dbfs(pcm) < _FAINT_DBFS)


def _loudest_dbfs(pcm: np.ndarray) -> float:
    hop = EAR_HZ // 10
    power = np.square(pcm[: len(pcm) // hop * hop].reshape(-1, hop)).mean(axis=1)
    return float(10 * np.log10(max(power.max(initial=0.0), 1e-12)))
