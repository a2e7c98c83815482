"""One step downhill, the same for every trainer."""

from __future__ import annotations

import math

import torch
from torch import nn


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> float:
    """One update. Returns the gradient's norm, before it is cut to 1."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
    optimiser.step()
    return float(norm)


def cosine(through: float, last: float) -> float:
    """From 1 at `through` 0 to `last` at 1 along half a cosine; level outside."""
    return last + (1 - last) * (1 + math.cos(math.pi * min(1.0, max(0.0, through)))) / 2
