"""Mimi on a CPU: the same codec, with our own convolutions and our own single steps of its transformers.

On a GPU a graph replays moshi's many calls for almost nothing, so there moshi's own code stays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from moshi.models.compression import MimiModel
from moshi.modules.streaming import StreamingContainer
from moshi.modules.transformer import LayerScale, ProjectedTransformer
from torch import nn
from torch.nn import functional as F

from duplex.engine import rings, seanet


def faster(mimi: MimiModel) -> MimiModel:
    """The same codec, faster where it runs on a CPU and is of Mimi's kind."""
    parts: Any = mimi
    if next(mimi.parameters()).device.type != "cpu":
        return mimi
    for name in ("encoder", "decoder"):
        part, transformer = getattr(mimi, name), getattr(mimi, f"{name}_transformer")
        if seanet.fits(part):
            setattr(parts, name, seanet.Seanet(part))
        if fits(transformer) and mimi.encoder_frame_rate == mimi.frame_rate:
            setattr(parts, f"{name}_transformer", Stepped(transformer))
    return mimi


class Layer(NamedTuple):
    """One layer's weights; layer scales are in the matrices."""

    norm1: tuple[torch.Tensor, torch.Tensor]
    qkv: torch.Tensor  # [3 * dim, dim]
    out: torch.Tensor  # [dim, dim]
    norm2: tuple[torch.Tensor, torch.Tensor]
    up: torch.Tensor  # [hidden, dim]
    down: torch.Tensor  # [dim, hidden]


class Stepped(StreamingContainer):
    """Takes the place of a codec's transformer in streams, position by position; a whole signal is left to moshi.

    In a chunk of several positions moshi's rings forget the oldest ones early; these do not.
    """

    def __init__(self, projected: ProjectedTransformer) -> None:
        """Raises ValueError when `fits(projected)` is False."""
        super().__init__()
        if not fits(projected):
            raise ValueError("this transformer is not of Mimi's kind")
        self.whole = projected
        self._rings = rings.Rings(projected.transformer)
        layers: Any = projected.transformer.layers
        self._layers = [_layer(layer) for layer in layers]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """[B, dim, T] -> [B, dim, T]"""
        if self.whole.transformer._streaming_state is None:
            return tuple(self.whole(x))
        return (torch.stack([self._step(position) for position in x.unbind(2)], 2),)

    def _step(self, x: torch.Tensor) -> torch.Tensor:
        """[B, dim] -> [B, dim]"""
        moment = self._rings.moment()
        for i, layer in enumerate(self._layers):
            qkv = F.linear(_normed(x, layer.norm1), layer.qkv)
            x = x + F.linear(self._rings.attend(qkv, i, moment), layer.out)
            x = x + F.linear(F.gelu(F.linear(_normed(x, layer.norm2), layer.up)), layer.down)
        self._rings.advance()
        return x


def fits(projected: Any) -> bool:
    """Whether a codec's transformer is the plain one: layer norms, GELU, layer scales, no other dimension outside."""
    if not isinstance(projected, ProjectedTransformer) or not projected.conv_layout:
        return False
    ends = projected.input_proj is None and [type(p) for p in projected.output_projs] == [nn.Identity]
    layers: Any = projected.transformer.layers
    return ends and rings.fits(projected.transformer) and all(_fits(layer) for layer in layers)


def _fits(layer: Any) -> bool:
    norms = all(isinstance(norm, nn.LayerNorm) and norm.elementwise_affine for norm in (layer.norm1, layer.norm2))
    scales = all(type(scale) is LayerScale for scale in (layer.layer_scale_1, layer.layer_scale_2))
    return norms and scales and layer.gating is None and layer.activation is F.gelu


@torch.no_grad()
def _layer(layer: Any) -> Layer:
    attention = layer.self_attn
    out = layer.layer_scale_1.scale[:, None] * attention.out_projs[0].weight
    down = layer.layer_scale_2.scale[:, None] * layer.linear2.weight
    norm1, norm2 = ((norm.weight.detach(), norm.bias.detach()) for norm in (layer.norm1, layer.norm2))
    return Layer(norm1, attention.in_projs[0].weight.detach(), out, norm2, layer.linear1.weight.detach(), down)


def _normed(x: torch.Tensor, norm: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm)
