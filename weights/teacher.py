"""What the words are, frame by frame: whisper's encoder, computed once per clip and kept on disk.

Row f of the cache belongs to frame f of the clips. Only training looks at it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.signal import resample_poly

from weights.clips import Clips

DIM = 384  # of whisper tiny's encoder
_MEL_PER_FRAME, _ENCODED_PER_FRAME = 8, 4  # 100 Hz and 50 Hz against 12.5 Hz
_CORE, _MARGIN = 125, 12  # frames: 10 s at a time, with a second of context on either side


class Teacher(Protocol):
    def __call__(self, pcm: np.ndarray) -> np.ndarray: ...  # float32 [F * 1920] at 24 kHz -> [F, DIM]


class Whisper:
    """tiny.en's encoder. Windows of at most 12 s: its time grows with them, and it knows none longer than 30."""

    def __init__(self, threads: int = 2) -> None:
        from faster_whisper import WhisperModel

        from duplex.checkpoint import locate

        folder = str(locate("whisper-tiny.en").folder)
        self._whisper = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)

    def __call__(self, pcm: np.ndarray) -> np.ndarray:
        ear = resample_poly(pcm, 2, 3).astype(np.float32).reshape(-1, 1280)  # 16 kHz, [F, 1280]
        return np.concatenate([self._core(ear, begin) for begin in range(0, len(ear), _CORE)])

    def _core(self, ear: np.ndarray, begin: int) -> np.ndarray:
        end, left = min(begin + _CORE, len(ear)), max(begin - _MARGIN, 0)
        window = np.pad(ear[left : end + _MARGIN], ((0, max(0, end + _MARGIN - len(ear))), (0, 0)))
        mel = self._whisper.feature_extractor(window.reshape(-1), padding=0)  # [80, n]
        mel = np.pad(mel, ((0, 0), (0, 8)), mode="edge")[:, : len(window) * _MEL_PER_FRAME]
        encoded = np.asarray(self._whisper.encode(mel))[0]  # [50 Hz, DIM]
        frames = encoded.reshape(-1, _ENCODED_PER_FRAME, DIM).mean(axis=1)
        return frames[begin - left : end - left]


class Lessons:
    """The teacher's features of every frame, each dimension with mean 0 and deviation 1 so that a cosine says much."""

    def __init__(self, rows: np.ndarray) -> None:
        """`rows` float16 [F, DIM]."""
        self._rows = rows
        sample = rows[:: max(1, len(rows) // 20_000)].astype(np.float32)
        self._mean, self._deviation = sample.mean(axis=0), sample.std(axis=0) + 1e-3

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Frame numbers [B, T] -> float32 [B, T, DIM], zeros where the number is -1."""
        rows = (self._rows[numbers].astype(np.float32) - self._mean) / self._deviation
        return np.where(numbers[..., None] < 0, np.float32(0), rows)


def open_lessons(clips: Clips, cache: Path, teacher: Teacher) -> Lessons:
    """Ask the teacher about the clips that it has not seen, map all that it said."""
    path = cache / "teacher.f16"
    done = path.stat().st_size // (DIM * 2) if path.exists() else 0
    whole = max((end for _, end in clips.spans if end <= done), default=0)  # a killed run may have left half a clip
    with path.open("ab") as file:
        file.truncate(whole * DIM * 2)
        for begin, end in clips.spans:
            if begin >= whole:
                pcm = clips.pcm(np.arange(begin, end)[None])[0]
                file.write(teacher(pcm).astype("<f2").tobytes())
    return Lessons(np.memmap(path, "<f2", "r").reshape(-1, DIM))
