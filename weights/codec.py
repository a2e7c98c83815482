"""Mimi as something to train: built by the stock loader's code, well initialised, run with or without its quantiser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.modules.seanet import SEANetResnetBlock
from moshi.quantization.core_vq import EuclideanCodebook
from torch import nn

from duplex.engine import seanet

_GAIN = 1.2  # over sqrt(fan in): with PyTorch's default the signal dies on its way and one code is used
_FIRST, _LAST = 10.0, 0.015  # speech has a deviation of about 0.07, the layers want 1

_LAST_LAYERS = 3  # of the encoder, from its last stride on: strided convolution, ELU, convolution
_THIN = {"encoder": 32, "decoder": 8}  # channels; where a part has fewer its residual blocks add nothing: they are
# most of the time and, in an encoder, little of the use


@dataclass(frozen=True)
class Pass:
    audio: torch.Tensor  # [decoded, n]
    semantic: torch.Tensor  # [B, dimension, T]: what the first codebook alone passes on
    latent: torch.Tensor  # [B, dimension, T]: what all of them do
    early: torch.Tensor  # [B, channels, T * last stride]: what the encoder knows before its last stride
    codes: torch.Tensor | None  # [B, K, T]
    commitment: torch.Tensor  # []


def build(config: Mapping[str, Any], seed: int) -> MimiModel:
    """A new codec of a `mimi_config`, on the CPU."""
    torch.manual_seed(seed)
    mimi = loaders.get_mimi(None, dict(config), num_codebooks=config["quantizer"]["n_q"])
    for module in mimi.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
            nn.init.normal_(module.weight, std=_GAIN / math.sqrt(_fan_in(module)))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for part, channels in _THIN.items():
            for block in _blocks(getattr(mimi, part)):
                last = _convolutions(block)[-1]
                last.weight.mul_(last.out_channels >= channels)
        _convolutions(mimi.encoder)[0].weight.mul_(_FIRST)
        _convolutions(mimi.decoder)[-1].weight.mul_(_LAST)
    return mimi


def reconstruct(mimi: MimiModel, pcm: torch.Tensor, quantise: bool, decoded: int) -> Pass:
    """[B, n], n in whole frames; the first `decoded` rows become audio again.

    Without quantiser its projections are still used, so that they learn where to meet.
    """
    with _convolving(mimi, pcm):
        early, latent = _latent(mimi, pcm)
    split: Any = mimi.quantizer
    first, rest = split.rvq_first, split.rvq_rest
    if quantise:
        a, b = first(latent, mimi.frame_rate), rest(latent, mimi.frame_rate)
        semantic, acoustic, codes = a.x, b.x, torch.cat([a.codes, b.codes], dim=1)
        levels = mimi.num_codebooks
        commitment = (a.penalty + b.penalty * (levels - 1)) / levels
    else:
        semantic = first.output_proj(first.input_proj(latent))
        acoustic = rest.output_proj(rest.input_proj(latent))
        codes, commitment = None, latent.new_zeros(())
    quantised = semantic + acoustic
    audio = _decoded(mimi, quantised[:decoded])[:, : pcm.shape[1]]
    return Pass(audio, semantic, quantised, early.float(), codes, commitment)


def early_channels(mimi: MimiModel) -> int:
    """Of `Pass.early`."""
    return _convolutions(mimi.encoder)[-2].in_channels


def decode_frozen(mimi: MimiModel, pcm: torch.Tensor) -> torch.Tensor:
    """[B, n] -> [B, n] with encoder and quantiser as they are: only the decoder's side gets gradients."""
    encoding = [mimi.encoder, mimi.encoder_transformer, mimi.quantizer]
    for part in encoding:
        part.eval()
    with torch.no_grad():
        quantised = mimi.decode_latent(mimi.quantizer.encode(_latent(mimi, pcm)[1]))
    return _decoded(mimi, quantised)[:, : pcm.shape[1]]


def start_codebooks(mimi: MimiModel, batches: list[torch.Tensor]) -> None:
    """k-means on all the frames of `batches`, each [B, n]: one batch has fewer than there are codes."""
    latent = torch.cat([_latent(mimi, pcm)[1] for pcm in batches])
    split: Any = mimi.quantizer
    for rvq in (split.rvq_first, split.rvq_rest):
        rvq(latent, mimi.frame_rate)


def set_step(mimi: MimiModel, n: int) -> None:
    """Make step `n` a function of what a checkpoint holds: not of the codebooks' own countdown to their next search for
    unused codes, nor of a table that evaluation left in their cache before they were initialised."""
    for module in mimi.modules():
        if isinstance(module, EuclideanCodebook):
            module.register_buffer("_embedding", None, persistent=False)
            module._next_unused_check = module.check_unused_every - n % module.check_unused_every


def _latent(mimi: MimiModel, pcm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, n] -> (`Pass.early`, the latents [B, dimension, T] in float32)."""
    encoder: Any = mimi.encoder
    chain = seanet.layers(encoder)
    early = seanet.whole(chain[:-_LAST_LAYERS], pcm[..., None])
    latent = seanet.whole(chain[-_LAST_LAYERS:], early).transpose(1, 2)
    transformer: Any = mimi.encoder_transformer
    (latent,) = transformer(latent)
    return early.transpose(1, 2), mimi._to_framerate(latent).float()


def _decoded(mimi: MimiModel, quantised: torch.Tensor) -> torch.Tensor:
    latent = mimi._to_encoder_framerate(quantised)
    decoder: Any = mimi.decoder
    transformer: Any = mimi.decoder_transformer
    with _convolving(mimi, latent):
        (latent,) = transformer(latent)
        return seanet.whole(seanet.layers(decoder), latent.transpose(1, 2))[..., 0].float()


def _convolving(mimi: MimiModel, x: torch.Tensor) -> torch.autocast:
    """bfloat16 while training, which is a fourth faster; the quantiser and all that is judged stay float32."""
    return torch.autocast(x.device.type, torch.bfloat16, enabled=mimi.training)


def _blocks(part: nn.Module) -> list[SEANetResnetBlock]:
    return [module for module in part.modules() if isinstance(module, SEANetResnetBlock)]


def _convolutions(part: nn.Module) -> list[nn.Conv1d]:
    return [module for module in part.modules() if isinstance(module, nn.Conv1d)]


def _fan_in(module: nn.Linear | nn.Conv1d | nn.ConvTranspose1d) -> float:
    """How many inputs one output sums."""
    if isinstance(module, nn.Linear):
        return module.in_features
    taps = module.kernel_size[0] / (module.stride[0] if isinstance(module, nn.ConvTranspose1d) else 1)
    return module.in_channels / module.groups * taps
