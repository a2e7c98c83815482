"""Mimi as a listener: signals -> codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.utils.compile import no_compile

from duplex.engine.mimi import faster
from duplex.frame import FRAME_SAMPLES

_QUIET_TICKS = 100  # silence after so long has nothing else in any context


class Ear:
    """One codec. Not for several threads."""

    def __init__(self, mimi: MimiModel, codebooks: int) -> None:
        self._device = next(mimi.parameters()).device
        self._mimi, self.codebooks = faster(mimi.eval()), codebooks
        quiet = self.codes(np.zeros(_QUIET_TICKS * FRAME_SAMPLES, np.float32))
        values, counts = np.unique(quiet[_QUIET_TICKS // 2 :], axis=0, return_counts=True)
        self.silence: np.ndarray = values[counts.argmax()]  # int16 [K], of long silence
        self.silence_share = float(counts.max() / counts.sum())  # 1 where silence has settled on them

    def codes(self, pcm: np.ndarray) -> np.ndarray:
        """float32 [n], whole frames -> int16 [ticks, K]"""
        with torch.no_grad(), no_compile():
            return self._encoded(pcm)

    def stream(self, pcm: np.ndarray, chunk_ticks: int) -> np.ndarray:
        """As `codes`, for signals of any length: no more than `chunk_ticks` are in memory."""
        chunk = chunk_ticks * FRAME_SAMPLES
        with torch.no_grad(), no_compile(), self._mimi.streaming(1):
            parts = [self._encoded(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
        return np.concatenate(parts) if parts else np.zeros((0, self.codebooks), np.int16)

    def _encoded(self, pcm: np.ndarray) -> np.ndarray:
        codes = self._mimi.encode(torch.from_numpy(pcm).to(self._device)[None, None])  # [1, K, T]
        return codes[0, : self.codebooks].T.cpu().numpy().astype(np.int16)


def open_ear(path: Path, codebooks: int, device: str = "cpu") -> Ear:
    """As `open_mimi`."""
    return Ear(open_mimi(path, codebooks, device), codebooks)


def open_mimi(path: Path, codebooks: int, device: str = "cpu") -> MimiModel:
    """A folder with mimi.safetensors, or the file; without a mimi_config.json beside it, it is the full-size codec."""
    weights = path / "mimi.safetensors" if path.is_dir() else path
    config = weights.with_name("mimi_config.json")
    shape = json.loads(config.read_text(encoding="utf-8")) if config.exists() else None
    return loaders.get_mimi(weights, shape, device, num_codebooks=codebooks)
