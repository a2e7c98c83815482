"""What is done to an LM's input tokens in training, so that it understands others and recovers from itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from moshi.models.lm import LMModel


@dataclass(frozen=True)
class Disturb:
    """What is done to the tokens that go in; the targets stay. Shares of frames, or of sequences."""

    user_code: float = 0.06  # of single codes: another at random
    user_frame: float = 0.05  # of frames: all codes at random
    user_fine: float = 0.3  # of sequences: from a codebook of 5 to 8 on, all are missing
    user_coarse: float = 0.05  # of sequences, for each of codebooks 2 to 4: missing
    agent_code: float = 0.02  # of its own past codes


def disturbed(codes: np.ndarray, how: Disturb, lm: LMModel, rng: np.random.Generator) -> np.ndarray:
    """int [B, 1 + n_q, T] -> the same with codes replaced, or missing (-1, which the LM reads as nothing)."""
    out = codes.copy()
    agent, user = out[:, 1 : 1 + lm.dep_q], out[:, 1 + lm.dep_q :]
    _replace(agent, rng.random(agent.shape) < how.agent_code, lm.card, rng)
    whole = rng.random((len(user), 1, user.shape[2])) < how.user_frame
    _replace(user, (rng.random(user.shape) < how.user_code) | whole, lm.card, rng)
    for row in user:
        if rng.random() < how.user_fine:
            row[int(rng.integers(4, 8)) :] = -1
        for codebook in range(1, min(4, len(row))):
            if rng.random() < how.user_coarse:
                row[codebook] = -1
    return out


def _replace(codes: np.ndarray, where: np.ndarray, card: int, rng: np.random.Generator) -> None:
    codes[where] = rng.integers(0, card, int(where.sum()))
