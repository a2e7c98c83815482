"""Our temporal transformer computes what moshi's computes, on rows that are masked and reset at any tick."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moshi.models import loaders
from moshi.models.lm import LMModel
from moshi.utils.compile import no_compile

from duplex.checkpoint import locate
from duplex.engine import temporal
from duplex.engine.model import Model
from duplex.engine.temporal import Temporal, fits
from tests.engine.conftest import PLACE, Driver, signal
from tests.engine.tiny import LM

ROWS = 3


def load(folder, dtype=torch.float32, **changes) -> LMModel:
    return loaders.get_moshi_lm(
        folder / "model.safetensors", lm_kwargs={**LM, **changes}, device="cpu", dtype=dtype
    ).eval()


def tokens(rng: np.random.Generator, rows: int) -> torch.Tensor:
    """[B, K, 1], some of them "no token"."""
    drawn = rng.integers(-1, LM["card"] + 1, (rows, LM["n_q"] + 1, 1))
    return torch.from_numpy(drawn)


@pytest.mark.parametrize("context", [16, 150], ids=["the ring goes round", "the ring is used in parts"])
@torch.no_grad()
def test_same_logits_as_moshi(tiny, context):
    moshi, lm = load(tiny, context=context), load(tiny, context=context)
    ours, rng, steps = Temporal(lm), np.random.default_rng(0), np.zeros(ROWS, int)
    with no_compile(), moshi.streaming(ROWS), lm.streaming(ROWS):
        for _ in range(max(100, 2 * context)):
            given, active = tokens(rng, ROWS), rng.random(ROWS) < [1.0, 0.9, 0.8]
            reset = rng.random(ROWS) < [0.0, 0.01, 0.03]
            for model in (moshi, lm):
                model.reset_streaming(torch.from_numpy(reset))
                model.set_exec_mask(torch.from_numpy(active))
            kept = torch.from_numpy(active)
            for theirs, mine in zip(moshi.forward_text(given), ours.step(given), strict=True):
                torch.testing.assert_close(mine[kept], theirs[kept], atol=1e-4, rtol=1e-4)
            steps = np.where(reset, 0, steps) + active
    assert steps.max() > context


@torch.no_grad()
def test_bfloat16_is_as_close_to_float32_as_moshi_is(tiny):
    lms = [load(tiny, dtype) for dtype in (torch.float32, torch.bfloat16, torch.bfloat16)]
    ours, rng = Temporal(lms[2]), np.random.default_rng(0)
    with no_compile(), lms[0].streaming(ROWS), lms[1].streaming(ROWS), lms[2].streaming(ROWS):
        errors = []
        for _ in range(40):
            given = tokens(rng, ROWS)
            exact, theirs, mine = (step(given)[1] for step in (lms[0].forward_text, lms[1].forward_text, ours.step))
            assert mine.dtype == torch.bfloat16
            errors.append([(out.float() - exact).abs().mean().item() for out in (mine, theirs)])
    mine, theirs = np.mean(errors, axis=0)
    assert mine < 1.2 * theirs


@torch.no_grad()
def test_neighbours_change_nothing(tiny):
    """A row beside an old one and beside a masked one is the row alone."""
    beside, alone = load(tiny, context=150), load(tiny, context=150)
    both, one, rng = Temporal(beside), Temporal(alone), np.random.default_rng(0)
    with beside.streaming(2), alone.streaming(1):
        for t in range(200):
            given = tokens(rng, 2)
            if t == 100:
                beside.reset_streaming(torch.tensor([True, False]))
            beside.set_exec_mask(torch.tensor([t >= 100, t % 7 < 5]))
            out = both.step(given)[1]
            if t >= 100:
                torch.testing.assert_close(out[:1], one.step(given[:1])[1], atol=1e-5, rtol=1e-5)


def test_the_model_says_the_same_with_it_and_without(tiny, monkeypatch):
    users = {row: signal(row, 40) for row in range(ROWS)}

    def said() -> Driver:
        driver, rng, position = Driver(Model.load(locate(tiny), ROWS, PLACE)), np.random.default_rng(3), [0] * ROWS
        for row in users:
            driver.seat(row, text_seed=row, audio_seed=row)
        for t in range(60):
            if t == 30:
                driver.seat(1, text_seed=9, audio_seed=9)
                position[1] = 0
            rows = [row for row in users if rng.random() < 0.7 and position[row] < 40]
            driver.step({row: users[row][position[row]] for row in rows})
            for row in rows:
                position[row] += 1
        return driver

    ours = said()
    assert ours.model._gen._temporal is not None
    monkeypatch.setattr(temporal, "fits", lambda lm: False)
    theirs = said()
    assert theirs.model._gen._temporal is None
    assert ours.codes == theirs.codes
    assert ours.text == theirs.text
    assert len(ours.text[0]) > LM["context"]


@pytest.mark.parametrize("changes", [{"positional_embedding": "none"}, {"norm": "layer_norm"}, {"gating": "none"}])
def test_another_shape_is_left_to_moshi(changes):
    lm = LMModel(**(LM | changes))
    assert not fits(lm)
    with pytest.raises(ValueError, match="not of Moshi's shape"):
        Temporal(lm)
