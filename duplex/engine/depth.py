"""The depth transformer, one codebook at a time, for checkpoints of Moshi's own shape.

The same arithmetic as moshi's `forward_depformer` without its streaming state: a frame's eight steps fit in eight
columns of a cache, so nothing has to be kept, masked or reset between frames. It makes far fewer calls, which is what
counts for a small model (docs/LOG.md). Checkpoints of another shape go through moshi's own code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from moshi.models.lm import LMModel
from moshi.modules.transformer import RMSNorm
from torch import nn
from torch.nn import functional as F


class Norm(NamedTuple):
    weight: torch.Tensor  # float32 [dim]
    eps: float

    @classmethod
    def of(cls, norm: RMSNorm) -> Norm:
        return cls(norm.alpha.detach().float().flatten(), norm.eps)


class Layer(NamedTuple):
    """One layer's weights; of a depth transformer, for one codebook."""

    norm1: Norm
    qkv: torch.Tensor  # [3 * dim, dim]
    out: torch.Tensor  # [dim, dim]
    norm2: Norm
    gate_in: torch.Tensor  # [2 * hidden, dim]
    gate_out: torch.Tensor  # [dim, hidden]


class Depth:
    """Weights regrouped by codebook, and the key-value cache of one frame for B rows."""

    def __init__(self, lm: LMModel, rows: int) -> None:
        """Shares the weights of `lm`. Raises ValueError when `fits(lm)` is False."""
        if not fits(lm):
            raise ValueError("this depth transformer is not of Moshi's shape")
        parts: Any = lm  # moshi's modules are found by name: nn.Module types none of them
        steps = range(lm.dep_q)
        layers = list(parts.depformer.layers)
        attention = layers[0].self_attn
        self._heads = attention.num_heads
        schedule = attention.weights_per_step_schedule or list(steps)
        inputs = [parts.depformer_in[schedule[k] if len(parts.depformer_in) > 1 else 0].weight for k in steps]
        self._in = torch.cat(inputs)  # [K * dim, dim of the LM]
        self._embeddings = [emb.weight for emb in (parts.depformer_text_emb, *parts.depformer_emb)]
        self._layers = [[_layer(layer, schedule[k]) for layer in layers] for k in steps]
        self._norms = [Norm.of(norm) if isinstance(norm, RMSNorm) else None for norm in parts.depformer_norms]
        self._heads_out = [(linear.weight, linear.bias) for linear in parts.linears]
        dim = self._in.shape[0] // lm.dep_q
        shape = (len(layers), 2, rows, self._heads, lm.dep_q, dim // self._heads)
        self._cache = torch.zeros(shape, device=self._in.device, dtype=self._in.dtype)

    def inputs(self, transformer_out: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[B, 1, dim of the LM] -> what each codebook's step takes from it, K times [B, dim]."""
        return F.linear(transformer_out[:, 0], self._in).chunk(len(self._layers), dim=1)

    def logits(self, codebook: int, token: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """The previous token [B] and `inputs(...)[codebook]` -> logits [B, card]."""
        x = given + F.embedding(token, self._embeddings[codebook])
        for layer, cache in zip(self._layers[codebook], self._cache, strict=True):
            x = x + F.linear(self._attend(rms(x, layer.norm1), layer, cache, codebook), layer.out)
            gate, value = F.linear(rms(x, layer.norm2), layer.gate_in).chunk(2, dim=1)
            x = x + F.linear(F.silu(gate) * value, layer.gate_out)
        weight, bias = self._heads_out[codebook]
        norm = self._norms[codebook]
        return F.linear(x if norm is None else rms(x, norm), weight, bias)

    def _attend(self, x: torch.Tensor, layer: Layer, cache: torch.Tensor, step: int) -> torch.Tensor:
        """[B, dim] -> [B, dim], over this frame's steps so far; cache is [2, B, H, K, D]."""
        query, key, value = F.linear(x, layer.qkv).view(len(x), 3, self._heads, 1, -1).unbind(1)
        cache[0, :, :, step : step + 1] = key
        cache[1, :, :, step : step + 1] = value
        keys, values = cache[:, :, :, : step + 1]
        return F.scaled_dot_product_attention(query, keys, values).reshape(len(x), -1)


def fits(lm: LMModel) -> bool:
    """Whether the checkpoint's depth transformer is the plain one: RMS norms, gated SiLU, no positions, no scales."""
    parts: Any = lm
    if parts.depformer is None or parts.depformer.positional_embedding != "none":
        return False
    embeddings = [parts.depformer_text_emb, *parts.depformer_emb]
    plain = all(e.norm is None and e.low_rank is None and not e.demux_second_stream for e in embeddings)
    norms = all(isinstance(norm, (RMSNorm, nn.Identity)) for norm in parts.depformer_norms)
    return plain and norms and all(_fits(layer) for layer in parts.depformer.layers)


def _fits(layer: Any) -> bool:
    attention, gating = layer.self_attn, layer.gating
    if not attention.weights_per_step or not isinstance(gating, nn.ModuleList) or attention.kv_repeat != 1:
        return False
    gates: list[Any] = list(gating)
    linears = [*attention.in_projs, *attention.out_projs, *(gate.linear_in for gate in gates)]
    return (
        all(type(linear) is nn.Linear for linear in linears)
        and all(gate.activation is F.silu for gate in gates)
        and isinstance(layer.norm1, RMSNorm)
        and isinstance(layer.norm2, RMSNorm)
        and isinstance(layer.layer_scale_1, nn.Identity)
        and not layer.skip_self_attn
    )


def _layer(layer: Any, index: int) -> Layer:
    attention, gate = layer.self_attn, layer.gating[index]
    norm1, norm2 = Norm.of(layer.norm1), Norm.of(layer.norm2)
    return Layer(
        norm1,
        attention.in_projs[index].weight,
        attention.out_projs[index].weight,
        norm2,
        gate.linear_in.weight,
        gate.linear_out.weight,
    )


def rms(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    """[..., dim], normalised in float32."""
    return F.rms_norm(x.float(), norm.weight.shape, norm.weight, norm.eps).to(x.dtype)
