"""Mimi for one stream at the edge: a client that speaks codes encodes its microphone and decodes the reply.

rustymimi runs the full-size codec, moshi's own PyTorch code any other size. Nothing here knows a language model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from duplex.checkpoint import Checkpoint, sha256
from duplex.frame import FRAME_SAMPLES

RUST_STEPS = 4 * 3600 * 25  # rustymimi dies after max_seq_len steps of 40 ms: four hours, not its default of 327 s


class Codec(Protocol):
    """One stream, frame by frame."""

    codebooks: int
    sha256: str  # of the weights: two sides with the same may exchange codes

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        """float32 [1920] -> int64 [K]."""
        ...

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """int [K] -> float32 [1920]."""
        ...

    def reset(self) -> None:
        """Start a new stream."""
        ...


def open_codec(checkpoint: Checkpoint, codebooks: int = 8) -> Codec:
    """The codec of a checkpoint that holds Mimi weights, at the start of a stream."""
    weights, config = checkpoint.files["mimi"], checkpoint.files.get("mimi_config")
    return TorchMimi(weights, config, codebooks) if config else RustMimi(weights, codebooks)


class RustMimi:
    """The full-size codec, without torch. After `reset` the first frame's codes differ slightly from a new one's."""

    def __init__(self, weights: Path, codebooks: int) -> None:
        import rustymimi

        self.codebooks, self.sha256 = codebooks, sha256(weights)
        make: Any = rustymimi.Tokenizer  # its stub lists no arguments
        self._mimi = make(str(weights), num_codebooks=codebooks, max_seq_len=RUST_STEPS)

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        codes = self._mimi.encode_step(pcm[None, None])  # [1, K, 1]
        return np.asarray(codes)[0, :, 0].astype(np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return np.asarray(self._mimi.decode_step(codes.astype(np.uint32)[None, :, None]))[0, 0]

    def reset(self) -> None:
        self._mimi.reset()


class TorchMimi:
    """Mimi of any size, on the CPU."""

    def __init__(self, weights: Path, config: Path, codebooks: int) -> None:
        import json

        from moshi.models import loaders

        self.codebooks, self.sha256 = codebooks, sha256(weights)
        self._mimi = loaders.get_mimi(weights, json.loads(config.read_text()), num_codebooks=codebooks)
        self._mimi.streaming_forever(1)

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            return self._mimi.encode(torch.from_numpy(pcm).view(1, 1, FRAME_SAMPLES))[0, :, 0].numpy()

    def decode(self, codes: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            return self._mimi.decode(torch.from_numpy(codes.astype(np.int64)).view(1, -1, 1))[0, 0].numpy()

    def reset(self) -> None:
        self._mimi.reset_streaming()
