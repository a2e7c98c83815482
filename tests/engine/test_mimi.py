"""The codec that runs on a CPU gives moshi's codes and samples, on rows that are masked and reset at any tick."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.utils.compile import no_compile

from duplex.engine.mimi import Stepped, faster, fits
from tests.engine.tiny import MIMI

ROWS = 3


def mimi(**transformer) -> MimiModel:
    torch.manual_seed(0)
    seanet = MIMI["seanet"] | {"ratios": [8, 6, 5, 8]}  # one position a frame
    config = MIMI | {"seanet": seanet, "transformer": MIMI["transformer"] | transformer}
    made = loaders.get_mimi(None, config, num_codebooks=4)
    for layers in (made.encoder_transformer, made.decoder_transformer):
        for name, parameter in layers.named_parameters():
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.3)
    return made


@pytest.mark.parametrize("context", [7, 100], ids=["the ring goes round", "the ring is used in parts"])
@torch.no_grad()
def test_streamed_masked_and_reset_as_moshi(context: int) -> None:
    theirs = mimi(context=context, num_layers=2)
    ours, rng = faster(copy.deepcopy(theirs)), np.random.default_rng(0)
    assert isinstance(ours.encoder_transformer, Stepped) and isinstance(ours.decoder_transformer, Stepped)
    with no_compile(), theirs.streaming(ROWS), ours.streaming(ROWS):
        for _ in range(90):
            active, reset = (torch.from_numpy(rng.random(ROWS) < share) for share in (0.9, 0.02))
            latent = torch.from_numpy(rng.normal(0, 1, (ROWS, MIMI["seanet"]["dimension"], 1))).float()
            for made in (theirs, ours):
                made.reset_streaming(reset)
                made.set_exec_mask(active)
            for name in ("encoder_transformer", "decoder_transformer"):
                (want,), (got,) = getattr(theirs, name)(latent), getattr(ours, name)(latent)
                torch.testing.assert_close(got[active], want[active], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_chunk_of_several_positions_is_as_one_by_one() -> None:
    """Also where the ring goes round within the chunk."""
    ours = faster(mimi(context=7, num_layers=2))
    latent = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (ROWS, MIMI["seanet"]["dimension"], 20))).float()
    streamed = []
    for sizes in ([1] * 20, [5, 9, 6]):
        with no_compile(), ours.streaming(ROWS):
            streamed.append(torch.cat([ours.encoder_transformer(part)[0] for part in latent.split(sizes, 2)], 2))
    torch.testing.assert_close(*streamed, atol=0, rtol=0)


@torch.no_grad()
def test_whole_and_streamed_from_end_to_end() -> None:
    theirs = mimi(num_layers=2)
    ours = faster(copy.deepcopy(theirs))
    pcm = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (ROWS, 1, 12 * theirs.frame_size))).float()
    codes = theirs.encode(pcm)
    assert (ours.encode(pcm) == codes).float().mean() > 0.99  # but for a tie between two codes
    with no_compile(), ours.streaming(ROWS):
        heard = torch.cat([ours.encode(chunk) for chunk in pcm.split(theirs.frame_size, 2)], 2)
        said = torch.cat([ours.decode(step) for step in codes.split(1, 2)], 2)
    assert (heard == codes).float().mean() > 0.99
    torch.testing.assert_close(said, theirs.decode(codes), atol=1e-4, rtol=1e-3)


def test_a_codec_of_two_positions_a_frame_keeps_its_transformers() -> None:
    made = loaders.get_mimi(None, MIMI, num_codebooks=4)
    assert fits(made.encoder_transformer)
    assert faster(made).encoder_transformer is made.encoder_transformer
    assert not isinstance(made.encoder_transformer, Stepped)


@pytest.mark.parametrize("changes", [{"gating": "silu"}, {"layer_scale": None}, {"norm": "rms_norm"}])
def test_another_transformer_is_left_to_moshi(changes: dict) -> None:
    made = mimi(**changes)
    assert not fits(made.encoder_transformer)
    assert faster(made).encoder_transformer is made.encoder_transformer
    with pytest.raises(ValueError, match="Mimi's kind"):
        Stepped(made.decoder_transformer)
