"""SEANet, the convolutions of Mimi, as matrix products: moshi's numbers with fewer and larger operations.

A convolution of 16 channels at 24 kHz is too thin to be fast. So `block` samples in a row are one vector, and a
kernel is a matrix that holds it once for each of them, shifted. Channels come last: [B, T, C].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple, TypeGuard

import torch
from moshi.modules.conv import StreamingConv1d, StreamingConvTranspose1d
from moshi.modules.seanet import SEANetDecoder, SEANetEncoder, SEANetResnetBlock
from moshi.modules.streaming import State, StreamingModule
from torch import nn
from torch.nn import functional as F

_WIDE = 64  # channels of a block that are enough


class Product(NamedTuple):
    """A causal convolution, or a transposed one. It looks at `past` samples before each block."""

    weight: torch.Tensor  # [samples out * channels out, (past + block) * channels in]
    bias: torch.Tensor  # [samples out * channels out]
    block: int
    past: int
    channels: int  # out

    def rows(self) -> int:
        """Whole blocks that hold the past."""
        return -(-self.past // self.block)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[B, rows * block + T, C], the past first -> [B, T', channels]"""
        blocks, rows = x.reshape(len(x), -1, self.block * x.shape[2]), self.rows()
        count, skip = blocks.shape[1] - rows, (rows * self.block - self.past) * x.shape[2]
        if self.past:
            seen = [blocks[:, i : i + count] for i in range(1, rows + 1)]
            blocks = torch.cat([blocks[:, :count, skip:], *seen], 2)
        return F.linear(blocks, self.weight, self.bias).reshape(len(x), -1, self.channels)

    def inputs(self) -> int:
        """Channels in."""
        return self.weight.shape[1] // (self.past + self.block)

    def sounding(self) -> torch.Tensor:
        """bool [channels out]: which are not always 0."""
        weight = self.weight.any(1) | self.bias.bool()
        return weight.view(-1, self.channels).any(0)

    def among(self, heard: torch.Tensor, kept: torch.Tensor) -> Product:
        """The same for the channels `heard` of its input and `kept` of its output, bool [channels] each."""
        weight = self.weight.unflatten(0, (-1, self.channels)).unflatten(2, (-1, self.inputs()))[:, kept][..., heard]
        bias = self.bias.unflatten(0, (-1, self.channels))[:, kept].flatten()
        return Product(weight.flatten(2).flatten(0, 1), bias, self.block, self.past, int(kept.sum()))


Layer = Any  # a Product, an nn.Module without state, or a list of Layers, whose sum is added to what goes in


def layers(part: SEANetEncoder | SEANetDecoder) -> list[Layer]:
    """Of moshi's encoder or decoder, without residual blocks that add nothing. Gradients reach its weights; what is
    computed once holds while they stay."""
    pairs = zip(_modules(part), _strides(part), strict=True)
    return [_layer(module, block) for module, block in pairs if not _residual(module) or _adds(module)]


def thinned(chain: Sequence[Layer], outer: torch.Tensor | None = None) -> list[Layer]:
    """Without channels that are always 0, as half of an encoder's are beside a decoder that was made wider: no
    activation of SEANet's makes something of nothing. `outer`, bool [channels], are those that come in and must go out
    again; None: all."""
    products = [layer for layer in chain if isinstance(layer, Product)]
    heard = products[0].weight.new_ones(products[0].inputs(), dtype=torch.bool) if outer is None else outer
    out: list[Layer] = []
    for i, layer in enumerate(chain):
        if isinstance(layer, list):
            layer = thinned(layer, heard)
        elif isinstance(layer, Product):
            added = takewhile(lambda after: not isinstance(after, Product), chain[i + 1 :])
            sources = [layer, *(list(_products(block))[-1] for block in added if isinstance(block, list))]
            kept = torch.stack([source.sounding() for source in sources]).any(0)
            if layer is products[-1]:
                kept = torch.ones_like(kept) if outer is None else outer
            layer, heard = layer.among(heard, kept), kept
        out.append(layer)
    return out


def fits(part: nn.Module) -> TypeGuard[SEANetEncoder | SEANetDecoder]:
    """Whether `layers` knows all that is in it."""
    if not isinstance(part, SEANetEncoder | SEANetDecoder):
        return False
    if not all(isinstance(m.shortcut, nn.Identity) for m in _modules(part) if _residual(m)):
        return False
    forward = [m for m in part.modules() if isinstance(m, StreamingConv1d)]
    backward = [m for m in part.modules() if isinstance(m, StreamingConvTranspose1d)]
    plain = all(m.pad_mode == "constant" and m.conv.conv.groups == 1 for m in forward)
    return plain and all(m._kernel_size == 2 * m._stride for m in backward)


def run(
    chain: Sequence[Layer], x: torch.Tensor, with_past: Callable[[Product, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """[B, T, C] -> [B, T', C']; `with_past` puts before a Product's input what it needs of the past."""
    for layer in chain:
        if isinstance(layer, Product):
            x = layer(with_past(layer, x) if layer.past else x)
        else:
            x = x + run(layer, x, with_past) if isinstance(layer, list) else layer(x)
    return x


def whole(chain: Sequence[Layer], x: torch.Tensor) -> torch.Tensor:
    """[B, T, C] -> [B, T', C'], of a signal with silence before it."""
    return run(chain, x, lambda product, part: F.pad(part, (0, 0, product.rows() * product.block, 0)))


@dataclass
class _Past(State):
    past: list[torch.Tensor]  # for each Product that looks back, [B, rows * block, C]

    def reset(self, reset_mask: torch.Tensor) -> None:
        super().reset(reset_mask)
        for tensor in self.past:
            tensor.masked_fill_(reset_mask[:, None, None], 0)


class Seanet(StreamingModule[_Past]):
    """Takes the place of moshi's SEANetEncoder or SEANetDecoder in a codec that is not trained any more."""

    def __init__(self, part: SEANetEncoder | SEANetDecoder) -> None:
        """Raises ValueError when `fits(part)` is False."""
        super().__init__()
        if not fits(part):
            raise ValueError("these convolutions are not of Mimi's kind")
        with torch.no_grad():
            self._chain = thinned(layers(part))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, T] -> [B, C', T']"""
        x, state = x.transpose(1, 2), self._streaming_state
        if state is None:
            return whole(self._chain, x).transpose(1, 2)
        pasts, mask = iter(state.past), state.exec_mask[:, None, None]

        def with_past(product: Product, part: torch.Tensor) -> torch.Tensor:
            past = next(pasts)
            joined = torch.cat([past, part], 1)
            past.copy_(torch.where(mask, joined[:, part.shape[1] :], past))
            return joined

        return run(self._chain, x, with_past).transpose(1, 2)

    def _init_streaming_state(self, batch_size: int) -> _Past:
        products = [product for product in _products(self._chain) if product.past]
        like = products[0].weight
        shapes = [(batch_size, p.rows() * p.block, p.inputs()) for p in products]
        return _Past(batch_size, like.device, [like.new_zeros(shape) for shape in shapes])


def _products(chain: Sequence[Layer]) -> Iterator[Product]:
    for layer in chain:
        if isinstance(layer, list):
            yield from _products(layer)
        elif isinstance(layer, Product):
            yield layer


def _modules(part: SEANetEncoder | SEANetDecoder) -> list[Any]:
    return list(part.model)


def _residual(module: nn.Module) -> bool:
    return isinstance(module, SEANetResnetBlock)


def _adds(block: Any) -> bool:
    """Whether a residual block's last weights are not all zero."""
    last = block.block[-1].conv.conv
    return bool(last.weight.any()) or bool(last.bias is not None and last.bias.any())


def _strides(part: SEANetEncoder | SEANetDecoder) -> Iterator[int]:
    """For each module, how many samples of its input are a block: to the next stride, or from the last one."""
    modules = _modules(part)
    changes = [m._stride if isinstance(m, StreamingConv1d | StreamingConvTranspose1d) else 1 for m in modules]
    block = 1
    if isinstance(part, SEANetEncoder):
        for i in range(len(modules)):
            yield next((stride for stride in changes[i:] if stride > 1), 1)
        return
    for module, stride in zip(modules, changes, strict=True):
        yield 1 if isinstance(module, StreamingConvTranspose1d) else block
        block = stride if stride > 1 else block


def _layer(module: Any, block: int) -> Layer:
    if _residual(module):
        return [_layer(inner, block) for inner in module.block]
    if isinstance(module, StreamingConv1d):
        return _convolution(module.conv.conv, block)
    return _transposed(module.convtr.convtr) if isinstance(module, StreamingConvTranspose1d) else module


def _convolution(conv: nn.Conv1d, most: int) -> Product:
    kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], conv.dilation[0]
    block = stride if stride > 1 else _block(conv.in_channels, most)
    weight = conv.weight  # [C', C, kernel]
    if dilation > 1:
        spread = weight.new_zeros(*weight.shape, dilation)
        spread[..., 0] = weight
        weight = spread.flatten(2)[..., : (kernel - 1) * dilation + 1]
    past, outputs = weight.shape[2] - stride, block // stride
    shifted = [F.pad(weight, (j * stride, block - stride - j * stride)) for j in range(outputs)]
    matrix = torch.stack(shifted).permute(0, 1, 3, 2)  # [outputs, C', past + block, C]
    return Product(matrix.flatten(2).flatten(0, 1), _bias(conv).repeat(outputs), block, past, conv.out_channels)


def _block(channels: int, most: int) -> int:
    """The shortest that divides `most` and fills a vector."""
    return next((n for n in range(1, most) if most % n == 0 and n * channels >= _WIDE), most)


def _transposed(conv: nn.ConvTranspose1d) -> Product:
    """Its kernel is two strides long: half of an output comes from the sample before."""
    stride = conv.stride[0]
    now, later = conv.weight.permute(2, 1, 0).split(stride)  # [stride, C', C] each
    matrix = torch.cat([later, now], 2).flatten(0, 1)
    return Product(matrix, _bias(conv).repeat(stride), 1, 1, conv.out_channels)


def _bias(conv: nn.Conv1d | nn.ConvTranspose1d) -> torch.Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
