"""A wider codec that is the same: its encoder does not use the new channels, so that its codes stay as they are, and
its decoder does not use them yet, but can learn to. A `mimi_config` has one width for both."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from weights.codec import build
from weights.run import Tensors


def widened(config: Mapping[str, Any], mimi: Tensors, filters: int, seed: int) -> tuple[dict[str, Any], Tensors]:
    """A codec's `mimi_config` and weights -> those of the same with `filters` at 24 kHz. Raises ValueError when it has
    more than that."""
    if filters < config["seanet"]["n_filters"]:
        raise ValueError(f"it has {config['seanet']['n_filters']} filters; it can only be made wider, not {filters}")
    wide = copy.deepcopy(dict(config))
    wide["seanet"]["n_filters"] = filters
    drawn: Tensors = build(wide, seed).state_dict()
    return wide, {name: _around(mimi[name], tensor, name) for name, tensor in drawn.items()}


def _around(old: torch.Tensor, drawn: torch.Tensor, name: str) -> torch.Tensor:
    """`old` in the first corner. What is new never reaches an old channel; in the encoder it is 0 as well."""
    if old.shape == drawn.shape:
        return old
    new = drawn.clone() if name.startswith("decoder.") and drawn.dim() > 1 else torch.zeros_like(drawn)
    # A transposed convolution is [in, out, kernel], others [out, in, kernel], a bias [out].
    outputs = int(".convtr." in name and old.dim() > 1)
    new.narrow(outputs, 0, old.shape[outputs]).zero_()
    new[tuple(slice(n) for n in old.shape)] = old
    return new
