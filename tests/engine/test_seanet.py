"""Our convolutions of Mimi compute what moshi's compute, whole and streamed, on rows that are masked and reset."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.utils.compile import no_compile

from duplex.engine import seanet
from tests.engine.tiny import MIMI

ROWS = 3
SHAPES = {
    "Mimi's own": {},
    "dilated": {"n_residual_layers": 3, "dilation_base": 2},
    "thin": {"n_filters": 8, "n_residual_layers": 0},
    "LeakyReLU": {"activation": "LeakyReLU", "activation_params": {"negative_slope": 0.1}},
    "wide": {"n_filters": 70, "kernel_size": 3, "last_kernel_size": 5},
}


def codec(**changes) -> MimiModel:
    torch.manual_seed(0)
    return loaders.get_mimi(None, MIMI | {"seanet": MIMI["seanet"] | changes}, num_codebooks=4)


def ours(mimi: MimiModel) -> MimiModel:
    other = copy.deepcopy(mimi)
    for name in ("encoder", "decoder"):
        part = getattr(other, name)
        assert seanet.fits(part)
        setattr(other, name, seanet.Seanet(part))
    return other


@pytest.mark.parametrize("changes", SHAPES.values(), ids=list(SHAPES))
@torch.no_grad()
def test_same_numbers_as_moshi(changes):
    theirs = codec(**changes)
    mine, rng = ours(theirs), np.random.default_rng(0)
    pcm = torch.from_numpy(rng.normal(0, 0.1, (ROWS, 1, 5 * theirs.frame_size))).float()
    latent = theirs.encoder(pcm)
    torch.testing.assert_close(mine.encoder(pcm), latent, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mine.decoder(latent), theirs.decoder(latent), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_streamed_masked_and_reset_as_moshi():
    theirs = codec(n_residual_layers=2)
    mine, rng = ours(theirs), np.random.default_rng(0)
    with no_compile(), theirs.streaming(ROWS), mine.streaming(ROWS):
        for _ in range(40):
            active, reset = torch.from_numpy(rng.random(ROWS) < 0.8), torch.from_numpy(rng.random(ROWS) < 0.1)
            pcm = torch.from_numpy(rng.normal(0, 0.1, (ROWS, 1, theirs.frame_size))).float()
            for mimi in (theirs, mine):
                mimi.reset_streaming(reset)
                mimi.set_exec_mask(active)
            latent = theirs.encoder(pcm)
            torch.testing.assert_close(mine.encoder(pcm)[active], latent[active], atol=1e-5, rtol=1e-4)
            said = theirs.decoder(latent)
            torch.testing.assert_close(mine.decoder(latent)[active], said[active], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_residual_block_that_adds_nothing_is_left_out():
    mimi = codec(n_residual_layers=1)
    blocks = len(seanet.layers(mimi.encoder))
    last = next(layer for layer in mimi.encoder.model if hasattr(layer, "block")).block[-1].conv.conv
    last.weight.zero_()
    last.bias.zero_()
    assert len(seanet.layers(mimi.encoder)) == blocks - 1
    pcm = torch.randn(1, 1, 3 * mimi.frame_size) * 0.1
    torch.testing.assert_close(seanet.Seanet(mimi.encoder)(pcm), mimi.encoder(pcm), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("silent_block", [True, False])
def test_channels_that_are_always_nothing_are_left_out(silent_block: bool):
    """A block that adds to such a channel keeps it."""
    mimi = codec(n_residual_layers=1)
    first = mimi.encoder.model[0].conv.conv
    block = next(layer for layer in mimi.encoder.model if hasattr(layer, "block")).block[-1].conv.conv
    half = first.out_channels // 2
    for conv in (first, block) if silent_block else (first,):
        conv.weight[half:] = 0
        conv.bias[half:] = 0
    thin = seanet.Seanet(mimi.encoder)
    assert thin._chain[0].channels == (half if silent_block else first.out_channels)
    pcm = torch.randn(2, 1, 3 * mimi.frame_size) * 0.1
    torch.testing.assert_close(thin(pcm), mimi.encoder(pcm), atol=1e-5, rtol=1e-4)
    with mimi.encoder.streaming(2), thin.streaming(2):
        for part in pcm.split(mimi.frame_size, -1):
            torch.testing.assert_close(thin(part), mimi.encoder(part), atol=1e-5, rtol=1e-4)


def test_gradients_are_moshis():
    mimi = codec(n_residual_layers=1)
    pcm = torch.randn(2, 1, 2 * mimi.frame_size) * 0.1
    grads = []
    for latent in (mimi.encoder(pcm), seanet.whole(seanet.layers(mimi.encoder), pcm.transpose(1, 2)).transpose(1, 2)):
        mimi.zero_grad()
        latent.square().sum().backward()
        grads.append([p.grad.clone() for p in mimi.encoder.parameters()])
    for theirs, mine in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)


def test_other_convolutions_do_not_fit():
    assert not seanet.fits(codec(true_skip=False).encoder)
    assert not seanet.fits(codec(pad_mode="replicate").decoder)
    with pytest.raises(ValueError, match="Mimi's kind"):
        seanet.Seanet(codec(true_skip=False).encoder)
