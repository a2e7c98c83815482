"""Our depth transformer computes what moshi's computes."""

from __future__ import annotations

import pytest
import torch
from moshi.models import loaders

from duplex.engine.depth import Depth, fits
from tests.engine.tiny import LM, write_tiny


def load(folder, **changes):
    return loaders.get_moshi_lm(folder / "model.safetensors", lm_kwargs=LM | changes, dtype=torch.float32).eval()


@pytest.mark.parametrize(
    "changes", [{}, {"depformer_weights_per_step_schedule": [0, 1, 1, 1]}], ids=["own weights", "shared weights"]
)
def test_same_logits_as_moshi(tmp_path, changes):
    lm = load(write_tiny(tmp_path, **changes), **changes)
    assert fits(lm)
    depth = Depth(lm, rows=2)
    given = torch.randn(2, 1, LM["dim"], generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[5, 1, 2, 3], [6, 30, 0, 17]])  # [B, K]; the first is a text token
    for _ in range(2):  # twice: nothing may be left over from the frame before
        with torch.no_grad(), lm.depformer.streaming(2):
            for k, ours_in in enumerate(depth.inputs(given)):
                theirs = lm.forward_depformer(k, tokens[:, k, None, None], given)[:, 0, 0]
                torch.testing.assert_close(depth.logits(k, tokens[:, k], ours_in), theirs, atol=1e-4, rtol=1e-4)


def test_another_shape_is_left_to_moshi(tmp_path):
    changes = {"depformer_pos_emb": "rope"}
    lm = load(write_tiny(tmp_path, **changes), **changes)
    assert not fits(lm)
    with pytest.raises(ValueError, match="not of Moshi's shape"):
        Depth(lm, rows=1)
