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


@torch.no_grad()
def follow(mean: nn.Module, module: nn.Module, n: int, keep: float) -> None:
    """Step n of a running average of the weights: `mean` keeps so much of itself, at first less, so that it forgets
    how they began. What is no weight (codebooks) is as it is now. Nothing, where `mean` is the module itself."""
    if mean is module:
        return
    keep = min(keep, (1 + n) / (10 + n))
    learnt, now = dict(mean.named_parameters()), module.state_dict()
    for name, average in mean.state_dict().items():
        if name in learnt:
            average.lerp_(now[name], 1 - keep)
        else:
            average.copy_(now[name])


def cosine(through: float, last: float) -> float:
    """From 1 at `through` 0 to `last` at 1 along half a cosine; level outside."""
    return last + (1 - last) * (1 + math.cos(math.pi * min(1.0, max(0.0, through)))) / 2
