"""A codec made wider: it hears and says the same, and its decoder alone learns with what is new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel

from weights import codec
from weights.run import Tensors
from weights.widen import widened

SOURCE = Path(codec.__file__).parent
PCM = torch.randn(2, 8 * 1920, generator=torch.Generator().manual_seed(0)) * 0.05


def narrow() -> tuple[dict[str, Any], Tensors]:
    config = json.loads((SOURCE / "mimi_config.json").read_text())
    config["seanet"]["n_filters"] = 4
    config["transformer"]["num_layers"] = 1
    config["quantizer"] |= {"n_q": 3, "bins": 8}
    model = codec.build(config, 0).train()
    codec.start_codebooks(model, [PCM])
    return config, model.state_dict()


def opened(config: dict[str, Any], mimi: Tensors) -> MimiModel:
    model = loaders.get_mimi(None, config, num_codebooks=config["quantizer"]["n_q"])
    model.load_state_dict(dict(mimi))
    return model.eval()


@torch.no_grad()
def passed(model: MimiModel) -> tuple[torch.Tensor, torch.Tensor]:
    """(codes, what they sound like)"""
    codes = model.encode(PCM[:, None])
    return codes, model.decode(codes)


def test_it_hears_and_says_the_same() -> None:
    config, mimi = narrow()
    codes, sound = passed(opened(config, mimi))
    wide = opened(*widened(config, mimi, 10, seed=1))
    assert wide.decoder.model[0].conv.conv.out_channels == 10 * 32
    same_codes, same_sound = passed(wide)
    assert len(codes.unique()) > 3
    assert sound.abs().max() > 1e-3
    assert torch.equal(codes, same_codes)
    assert torch.allclose(sound, same_sound, atol=1e-6)


def test_what_is_new_is_heard_after_two_steps_and_the_codes_stay() -> None:
    config, mimi = widened(*narrow(), 10, seed=1)
    model = opened(config, mimi).train()
    codes, _ = passed(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        codec.decode_frozen(model, PCM).square().mean().mul(1e3).backward()
        optimiser.step()
    assert torch.equal(passed(model.eval())[0], codes)
    last = model.decoder.model[-1].conv.conv.weight  # [1, channels, kernel]
    assert (last[:, 4:] != 0).all()
    first = model.decoder.model[0].conv.conv.weight
    assert (first[4 * 32 :] != mimi["decoder.model.0.conv.conv.weight"][4 * 32 :]).any()


def test_narrower_is_refused() -> None:
    with pytest.raises(ValueError, match="can only be made wider"):
        widened(*narrow(), 2, seed=0)
