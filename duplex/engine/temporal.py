"""The temporal transformer, one position for B rows at a time on a CPU, for checkpoints of Moshi's own shape.

The same arithmetic as moshi's `forward_text` on moshi's own streaming state: its key-value rings and its count of
positions are read and written here, so rows are masked and reset by moshi as ever. What does not depend on the layer
(rope, mask, where to write) is made once a step, and only the part of the rings that is in use is looked at. It makes
far fewer calls, which is what counts for a small model. On a GPU a graph replays moshi's calls for almost nothing, so
moshi's own code stays there, as for checkpoints of another shape.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from moshi.models.lm import LMModel
from moshi.modules.gating import ActivationGating
from moshi.modules.transformer import RMSNorm
from torch import nn
from torch.nn import functional as F

from duplex.engine.depth import Layer, Norm, rms

STRIDE = 64  # a row's sums, padded with zeros to a multiple of 16, are the same to the bit however old its neighbours


class Moment(NamedTuple):
    """What all layers share in one step."""

    rotation: torch.Tensor  # complex64 [B, 3, 1, D / 2]: turns queries and keys, leaves values
    rows: torch.Tensor  # [B], 0 to B - 1
    slot: torch.Tensor  # [B], where each row's ring is written
    hidden: torch.Tensor  # [B * H, 1, N]: 0 at what a row may attend to, else -inf


class Temporal:
    """The weights of an LM, regrouped for single steps."""

    def __init__(self, lm: LMModel) -> None:
        """Shares the weights of `lm` but for a copy of its embeddings. Raises ValueError when `fits(lm)` is False."""
        if not fits(lm):
            raise ValueError("this temporal transformer is not of Moshi's shape, or not on a CPU")
        parts: Any = lm  # moshi's modules are found by name: nn.Module types none of them
        self._transformer = parts.transformer
        self._layers = [_layer(layer) for layer in self._transformer.layers]
        attention = self._transformer.layers[0].self_attn
        self._heads, self._context = attention.num_heads, attention.context
        self._out_norm, self._text = Norm.of(parts.out_norm), parts.text_linear
        tables = [emb.weight for emb in (parts.text_emb, *parts.emb)]
        self._table = torch.cat([*tables, torch.zeros_like(tables[0][:1])])  # the last row is for "no token"
        self._starts = torch.tensor([0, *(len(table) for table in tables[:-1])]).cumsum(0)
        half = attention.embed_dim // self._heads // 2
        steps = torch.arange(half, dtype=torch.float32)
        frequencies = torch.exp(steps * (-math.log(self._transformer.max_period) / half))
        self._turns = torch.stack([frequencies, frequencies, torch.zeros(half)])[:, None]  # [3, 1, D / 2]: q, k, v

    def step(self, tokens: torch.Tensor, *_conditions: None) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [B, K, 1] -> what `lm.forward_text` gives: [B, 1, dim] and text logits [B, 1, 1, card].

        The LM must be streaming; rows outside its execution mask give anything and do not advance.
        """
        state = self._transformer._streaming_state
        moment = self._moment(state)
        x = self._embed(tokens[:, :, 0])
        for layer, module in zip(self._layers, self._transformer.layers, strict=True):
            cache = module.self_attn._streaming_state.kv_cache.cache  # [2, B, H, context, D]
            x = x + F.linear(self._attend(rms(x, layer.norm1), layer, cache, moment), layer.out)
            gate, value = F.linear(rms(x, layer.norm2), layer.gate_in).chunk(2, dim=1)
            x = x + F.linear(F.silu(gate) * value, layer.gate_out)
        state.offsets.add_(state.exec_mask)
        x = rms(x, self._out_norm)[:, None]
        return x, self._text(x)[:, None]

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B, K] -> the sum of their embeddings [B, dim]."""
        rows = torch.where(tokens == -1, len(self._table) - 1, tokens.clamp(min=0) + self._starts)
        return F.embedding(rows, self._table).sum(1)

    def _moment(self, state: Any) -> Moment:
        offsets: torch.Tensor = state.offsets  # [B], positions behind each row
        rows = len(offsets)
        rotation = torch.polar(torch.ones(()), self._turns * offsets[:, None, None, None])
        oldest = int((offsets * state.exec_mask).max())
        used = min(oldest // STRIDE * STRIDE + STRIDE, self._context)
        seen = torch.arange(used) <= offsets[:, None]  # a ring that is full holds just what may be attended to
        hidden = torch.where(seen, 0.0, -torch.inf).to(self._table.dtype)
        hidden = hidden[:, None].expand(rows, self._heads, used).reshape(-1, 1, used)
        return Moment(rotation, torch.arange(rows), offsets % self._context, hidden)

    def _attend(self, x: torch.Tensor, layer: Layer, cache: torch.Tensor, moment: Moment) -> torch.Tensor:
        """[B, dim] -> [B, dim], over each row's ring, which takes the new key and value first."""
        rows, used = len(x), moment.hidden.shape[2]
        pairs = F.linear(x, layer.qkv).float().view(rows, 3, self._heads, -1, 2)
        qkv = torch.view_as_real(torch.view_as_complex(pairs) * moment.rotation).flatten(3).to(x.dtype)
        cache[:, moment.rows, :, moment.slot] = qkv[:, 1:]
        query = qkv[:, 0].reshape(rows * self._heads, 1, -1)
        keys, values = cache.flatten(1, 2)[:, :, :used]  # [B * H, N, D]
        scores = torch.baddbmm(moment.hidden, query, keys.transpose(1, 2), alpha=query.shape[2] ** -0.5)
        return torch.bmm(scores.softmax(2), values).view(rows, -1)


def fits(lm: LMModel) -> bool:
    """Whether `lm` is on a CPU and plain: interleaved rope, RMS norms, gated SiLU, no scales, no conditions."""
    parts: Any = lm
    rope = parts.transformer.rope
    if lm.device.type != "cpu" or lm.fuser is not None or parts.transformer.positional_embedding != "rope":
        return False
    embeddings = [parts.text_emb, *parts.emb]
    plain = all(e.norm is None and e.low_rank is None and not e.demux_second_stream for e in embeddings)
    ends = isinstance(parts.out_norm, RMSNorm) and type(parts.text_linear) is nn.Linear
    return plain and ends and rope.interleave and all(_fits(layer) for layer in parts.transformer.layers)


def _fits(layer: Any) -> bool:
    if layer.skip_self_attn or layer.cross_attention is not None or type(layer.gating) is not ActivationGating:
        return False
    attention, gating = layer.self_attn, layer.gating
    linears = [*attention.in_projs, *attention.out_projs, gating.linear_in, gating.linear_out]
    return (
        all(type(linear) is nn.Linear for linear in linears)
        and not attention.weights_per_step
        and attention.kv_repeat == 1
        and attention.causal
        and attention.context is not None
        and gating.activation is F.silu
        and isinstance(layer.norm1, RMSNorm)
        and isinstance(layer.norm2, RMSNorm)
        and isinstance(layer.layer_scale_1, nn.Identity)
    )


def _layer(layer: Any) -> Layer:
    attention, gate = layer.self_attn, layer.gating
    qkv, out = attention.in_projs[0].weight, attention.out_projs[0].weight
    return Layer(Norm.of(layer.norm1), qkv, out, Norm.of(layer.norm2), gate.linear_in.weight, gate.linear_out.weight)
