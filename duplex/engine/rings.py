"""Attention of moshi's streaming transformers, one position for B rows at a time on a CPU.

On moshi's own streaming state: its key-value rings and its count of positions are read and written here, so rows are
masked and reset by moshi as ever. What does not depend on the layer (rope, mask, where to write) is made once a step,
and only the part of the rings that is in use is looked at.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import nn

STRIDE = 64  # a row's sums, padded with zeros to a multiple of 16, are the same to the bit however old its neighbours


class Moment(NamedTuple):
    """What all layers share in one step."""

    rotation: torch.Tensor  # complex64 [B, 3, 1, D / 2]: turns queries and keys, leaves values
    rows: torch.Tensor  # [B], 0 to B - 1
    slot: torch.Tensor  # [B], where each row's ring is written
    hidden: torch.Tensor  # [B * H, 1, N]: 0 at what a row may attend to, else -inf


class Rings:
    """The rings of one transformer, which must be streaming; rows outside its execution mask do not advance."""

    def __init__(self, transformer: Any) -> None:
        """Of a StreamingTransformer for which `fits` is True."""
        self._transformer = transformer
        attention = transformer.layers[0].self_attn
        self._heads, self._context = attention.num_heads, attention.context
        self._dtype = attention.in_projs[0].weight.dtype
        half = attention.embed_dim // self._heads // 2
        steps = torch.arange(half, dtype=torch.float32)
        frequencies = torch.exp(steps * (-math.log(transformer.max_period) / half))
        self._turns = torch.stack([frequencies, frequencies, torch.zeros(half)])[:, None]  # [3, 1, D / 2]: q, k, v

    def moment(self) -> Moment:
        state = self._transformer._streaming_state
        offsets: torch.Tensor = state.offsets  # [B], positions behind each row
        rows = len(offsets)
        rotation = torch.polar(torch.ones(()), self._turns * offsets[:, None, None, None])
        oldest = int((offsets * state.exec_mask).max())
        used = min(oldest // STRIDE * STRIDE + STRIDE, self._context)
        seen = torch.arange(used) <= offsets[:, None]  # a ring that is full holds just what may be attended to
        hidden = torch.where(seen, 0.0, -torch.inf).to(self._dtype)
        hidden = hidden[:, None].expand(rows, self._heads, used).reshape(-1, 1, used)
        return Moment(rotation, torch.arange(rows), offsets % self._context, hidden)

    def attend(self, qkv: torch.Tensor, layer: int, moment: Moment) -> torch.Tensor:
        """[B, 3 * dim] -> [B, dim], over each row's ring, which takes the new key and value first."""
        rows, used = len(qkv), moment.hidden.shape[2]
        cache = self._transformer.layers[layer].self_attn._streaming_state.kv_cache.cache  # [2, B, H, context, D]
        pairs = qkv.float().view(rows, 3, self._heads, -1, 2)
        turned = torch.view_as_real(torch.view_as_complex(pairs) * moment.rotation).flatten(3).to(qkv.dtype)
        cache[:, moment.rows, :, moment.slot] = turned[:, 1:]
        query = turned[:, 0].reshape(rows * self._heads, 1, -1)
        keys, values = cache.flatten(1, 2)[:, :, :used]  # [B * H, N, D]
        scores = torch.baddbmm(moment.hidden, query, keys.transpose(1, 2), alpha=query.shape[2] ** -0.5)
        return torch.bmm(scores.softmax(2), values).view(rows, -1)

    def advance(self) -> None:
        """To the next position, after all layers."""
        state = self._transformer._streaming_state
        state.offsets.add_(state.exec_mask)


def fits(transformer: Any) -> bool:
    """Whether attention is causal, with interleaved rope and a context, and has linear projections."""
    if transformer.positional_embedding != "rope" or not transformer.rope.interleave:
        return False
    return all(_fits(layer) for layer in transformer.layers)


def _fits(layer: Any) -> bool:
    attention = layer.self_attn
    linears = [*attention.in_projs, *attention.out_projs]
    return (
        all(type(linear) is nn.Linear for linear in linears)
        and not layer.skip_self_attn
        and layer.cross_attention is None
        and not attention.weights_per_step
        and attention.kv_repeat == 1
        and attention.causal
        and attention.context is not None
    )
