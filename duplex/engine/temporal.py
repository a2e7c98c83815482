"""The temporal transformer, one position for B rows at a time on a CPU, for checkpoints of Moshi's own shape.

The same arithmetic as moshi's `forward_text` on moshi's own streaming state. It makes far fewer calls, which is what
counts for a small model. On a GPU a graph replays moshi's calls for almost nothing, so moshi's own code stays there, as
for checkpoints of another shape.
"""

from __future__ import annotations

from typing import Any

import torch
from moshi.models.lm import LMModel
from moshi.modules.gating import ActivationGating
from moshi.modules.transformer import RMSNorm
from torch import nn
from torch.nn import functional as F

from duplex.engine import rings
from duplex.engine.depth import Layer, Norm, rms


class Temporal:
    """The weights of an LM, regrouped for single steps."""

    def __init__(self, lm: LMModel) -> None:
        """Shares the weights of `lm` but for a copy of its embeddings. Raises ValueError when `fits(lm)` is False."""
        if not fits(lm):
            raise ValueError("this temporal transformer is not of Moshi's shape, or not on a CPU")
        parts: Any = lm  # moshi's modules are found by name: nn.Module types none of them
        self._layers = [_layer(layer) for layer in parts.transformer.layers]
        self._rings = rings.Rings(parts.transformer)
        self._out_norm, self._text = Norm.of(parts.out_norm), parts.text_linear
        tables = [emb.weight for emb in (parts.text_emb, *parts.emb)]
        self._table = torch.cat([*tables, torch.zeros_like(tables[0][:1])])  # the last row is for "no token"
        self._starts = torch.tensor([0, *(len(table) for table in tables[:-1])]).cumsum(0)

    def step(self, tokens: torch.Tensor, *_conditions: None) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [B, K, 1] -> what `lm.forward_text` gives: [B, 1, dim] and text logits [B, 1, 1, card].

        The LM must be streaming; rows outside its execution mask give anything and do not advance.
        """
        moment = self._rings.moment()
        x = self._embed(tokens[:, :, 0])
        for i, layer in enumerate(self._layers):
            x = x + F.linear(self._rings.attend(F.linear(rms(x, layer.norm1), layer.qkv), i, moment), layer.out)
            gate, value = F.linear(rms(x, layer.norm2), layer.gate_in).chunk(2, dim=1)
            x = x + F.linear(F.silu(gate) * value, layer.gate_out)
        self._rings.advance()
        x = rms(x, self._out_norm)[:, None]
        return x, self._text(x)[:, None]

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B, K] -> the sum of their embeddings [B, dim]."""
        rows = torch.where(tokens == -1, len(self._table) - 1, tokens.clamp(min=0) + self._starts)
        return F.embedding(rows, self._table).sum(1)


def fits(lm: LMModel) -> bool:
    """Whether `lm` is on a CPU and plain: rings that fit, RMS norms, gated SiLU, no scales, no conditions."""
    parts: Any = lm
    if lm.device.type != "cpu" or lm.fuser is not None or not rings.fits(parts.transformer):
        return False
    embeddings = [parts.text_emb, *parts.emb]
    plain = all(e.norm is None and e.low_rank is None and not e.demux_second_stream for e in embeddings)
    ends = isinstance(parts.out_norm, RMSNorm) and type(parts.text_linear) is nn.Linear
    return plain and ends and all(_fits(layer) for layer in parts.transformer.layers)


def _fits(layer: Any) -> bool:
    gating = layer.gating
    return (
        type(gating) is ActivationGating
        and all(type(linear) is nn.Linear for linear in (gating.linear_in, gating.linear_out))
        and gating.activation is F.silu
        and isinstance(layer.norm1, RMSNorm)
        and isinstance(layer.norm2, RMSNorm)
        and isinstance(layer.layer_scale_1, nn.Identity)
    )


def _layer(layer: Any) -> Layer:
    attention, gate = layer.self_attn, layer.gating
    qkv, out = attention.in_projs[0].weight, attention.out_projs[0].weight
    return Layer(Norm.of(layer.norm1), qkv, out, Norm.of(layer.norm2), gate.linear_in.weight, gate.linear_out.weight)
