"""Equivalence: a row of a masked batch is a conversation of its own."""

from __future__ import annotations

import json

import numpy as np
import torch
from moshi.models import LMGen, loaders
from moshi.utils.compile import no_compile

from duplex.checkpoint import locate
from duplex.codec import open_codec
from duplex.engine.model import Model
from duplex.engine.text import PAD
from tests.engine.conftest import Driver, signal

TICKS = 24


def alone(model: Model, row: int, user: np.ndarray, **sampling) -> Driver:
    """One session, everybody else absent."""
    driver = Driver(model)
    driver.seat(row, **sampling)
    for frame in user:
        driver.step({row: frame})
    return driver


def test_outputs_depend_on_inputs(make_model):
    """Guards the other tests: with outputs that never change, every equivalence would hold."""
    one = alone(make_model(), 0, signal(1, TICKS))
    two = alone(make_model(), 0, signal(2, TICKS))
    assert one.codes[0] != two.codes[0]
    assert len({tuple(frame) for frame in one.codes[0]}) > TICKS // 2


def test_row_in_masked_batch_equals_solo_run(make_model):
    users = {row: signal(row, TICKS) for row in range(3)}
    together = Driver(make_model())
    for row in users:
        together.seat(row, text_seed=row, audio_seed=row)
    position = dict.fromkeys(users, 0)
    rng = np.random.default_rng(7)
    while any(at < TICKS for at in position.values()):
        rows = [row for row in users if position[row] < TICKS and rng.random() < 0.6]
        if rows:
            together.step({row: users[row][position[row]] for row in rows})
            for row in rows:
                position[row] += 1
    for row, user in users.items():
        solo = alone(make_model(), row, user, text_seed=row, audio_seed=row)
        assert together.codes[row] == solo.codes[row]
        assert together.text[row] == solo.text[row]
        np.testing.assert_allclose(together.pcm[row], solo.pcm[row], atol=1e-6)


def test_the_row_number_does_not_matter(make_model):
    user = signal(3, TICKS)
    assert alone(make_model(), 0, user).codes[0] == alone(make_model(), 2, user).codes[2]


def test_batch_of_one_equals_batch_of_many(make_model):
    user = signal(4, TICKS)
    assert alone(make_model(1), 0, user).codes[0] == alone(make_model(5), 0, user).codes[0]


def test_reset_row_equals_fresh_run_and_leaves_the_others(make_model):
    users = {row: signal(10 + row, TICKS) for row in range(3)}
    driver = Driver(make_model())
    for row in users:
        driver.seat(row)
    for t in range(TICKS):
        if t == 9:
            driver.seat(1)
        heard = {row: users[row][t] for row in (0, 2)}
        driver.step(heard | {1: users[1][t - 9 if t >= 9 else t]})
    assert driver.codes[1] == alone(make_model(), 1, users[1][: TICKS - 9]).codes[1]
    assert driver.codes[0] == alone(make_model(), 0, users[0]).codes[0]


def test_codes_path_equals_pcm_path(make_model, tiny):
    """A client that runs Mimi itself hears exactly what the server would have decoded."""
    user = signal(5, TICKS)
    by_pcm = alone(make_model(), 0, user)
    ear, mouth = (open_codec(locate(tiny), codebooks=4) for _ in range(2))
    by_codes = alone(make_model(), 0, np.stack([ear.encode(frame) for frame in user]))
    assert by_codes.codes[0] == by_pcm.codes[0]
    assert by_codes.text[0] == by_pcm.text[0]
    decoded = [mouth.decode(np.array(codes)) for codes in by_codes.codes[0]]
    np.testing.assert_allclose(np.stack(decoded), np.stack(by_pcm.pcm[0]), atol=1e-5)  # amplitude 3


def test_mimi_does_not_run_for_codes(model, monkeypatch):
    driver = Driver(model)
    driver.seat(0)
    monkeypatch.setattr(model._mimi, "encode", None)
    monkeypatch.setattr(model._mimi, "decode", None)
    said = driver.step({0: np.zeros(4, np.int64)})
    assert not said.pcm.any()


def test_mixed_batch_of_codes_and_pcm(make_model, tiny):
    user = signal(6, TICKS)
    codec = open_codec(locate(tiny), codebooks=4)
    codes = [codec.encode(frame) for frame in user]
    mixed = Driver(make_model())
    mixed.seat(0)
    mixed.seat(1)
    for t in range(TICKS):
        mixed.step({0: user[t], 1: codes[t]})
    assert mixed.codes[0] == mixed.codes[1]


def test_streamed_equals_whole(make_model, tiny):
    """The tokens that were streamed are what the LM, given the whole sequence at once, would choose greedily."""
    user = signal(8, TICKS)
    driver = alone(make_model(1), 0, user, text_temperature=0.0, audio_temperature=0.0)
    codec = open_codec(locate(tiny), codebooks=4)
    heard = torch.tensor(np.stack([codec.encode(frame) for frame in user], axis=1))  # [4, T]
    spoken = torch.tensor(driver.codes[0]).T  # [4, T]
    text = torch.tensor(driver.text[0])[None]  # [1, T]
    # position 0 of the model is the start token (the first-frame rule), so the whole sequence begins at tick 1
    whole = torch.cat([text, spoken, heard])[None, :, 1:]  # [1, 9, T - 1]
    lm = loaders.get_moshi_lm(tiny / "model.safetensors", lm_kwargs=_lm_config(tiny), dtype=torch.float32)
    with torch.no_grad(), no_compile():
        out = lm(whole)
    # a frame is certain only once its delayed codebooks are out, so the last frame is left out
    assert torch.equal(out.text_logits.argmax(-1)[0, 0, :-1], whole[0, 0, :-1])
    assert torch.equal(out.logits.argmax(-1)[0, :, :-1], whole[0, 1:5, :-1])


def test_greedy_equals_the_stock_generator(make_model, tiny):
    user = signal(9, TICKS)
    ours = alone(make_model(1), 0, user, text_temperature=0.0, audio_temperature=0.0)
    config = _lm_config(tiny)
    lm = loaders.get_moshi_lm(tiny / "model.safetensors", lm_kwargs=config, dtype=torch.float32).eval()
    mimi = loaders.get_mimi(tiny / "mimi.safetensors", json.loads((tiny / "mimi_config.json").read_text()), "cpu", 4)
    theirs = LMGen(lm, use_sampling=False)
    with torch.no_grad(), no_compile(), mimi.streaming(1), theirs.streaming(1):
        outs = [theirs.step(mimi.encode(torch.from_numpy(frame)[None, None])) for frame in user]
    assert outs[0] is None  # their first frame is the one that ours fills with silence
    assert ours.codes[0][1:] == [out[0, 1:, 0].tolist() for out in outs[1:]]
    assert ours.text[0][1:] == [int(out[0, 0, 0]) for out in outs[1:]]


def test_a_forced_row_says_its_text_and_its_neighbours_say_what_they_say_anyway(make_model):
    """The forced token is the text of the next tick's frame, steers the sound, and touches nobody else."""
    users = {row: signal(20 + row, TICKS) for row in range(3)}
    words = [5 + t % 40 for t in range(TICKS)]

    def said(force: bool) -> Driver:
        driver = Driver(make_model(3))
        for row in users:
            driver.seat(row, text_seed=row, audio_seed=row)
        for t in range(TICKS):
            given = {1: words[t]} if force and 4 <= t < 12 else None
            driver.step({row: pcm[t] for row, pcm in users.items()}, given)
        return driver

    free, forced = said(False), said(True)
    assert forced.text[1][5:13] == words[4:12] != free.text[1][5:13]
    assert forced.codes[1][:4] == free.codes[1][:4] and forced.codes[1][5:] != free.codes[1][5:]
    for row in (0, 2):
        assert forced.text[row] == free.text[row]
        assert forced.codes[row] == free.codes[row]
        np.testing.assert_array_equal(forced.pcm[row], free.pcm[row])


def test_first_frame_is_silence_and_the_users_first_frame_is_not_heard(make_model):
    user = signal(11, TICKS)
    other = user.copy()
    other[0] = 0.0
    codec_state_differs = alone(make_model(), 0, other)
    driver = alone(make_model(), 0, user)
    assert driver.codes[0][0] == codec_state_differs.codes[0][0] == driver.model._quiet.tolist()
    assert driver.text[0][0] == PAD
    by_codes = [[1, 2, 3, 4], [4, 3, 2, 1]]
    rest = np.random.default_rng(0).integers(0, 32, (TICKS, 4))
    first, second = (alone(make_model(), 0, np.vstack([start, rest])) for start in by_codes)
    assert first.codes[0] == second.codes[0]


def test_ring_context_keeps_going(make_model):
    """Ten windows long: still finite, still depending on what it hears now, and no longer on what fell out."""
    ticks = 160
    model = make_model(2, context=16)
    driver = Driver(model)
    user, other = signal(12, ticks), signal(13, ticks)
    driver.seat(0)
    driver.seat(1)
    for t in range(ticks):
        driver.step({0: user[t], 1: user[t] if t < ticks - 20 else other[t]})
    assert np.isfinite(np.stack(driver.pcm[0])).all()
    assert driver.codes[0][: ticks - 20] == driver.codes[1][: ticks - 20]
    assert driver.codes[0][ticks - 20 :] != driver.codes[1][ticks - 20 :]


def _lm_config(tiny) -> dict:
    info = loaders.CheckpointInfo.from_hf_repo(
        "tiny",
        moshi_weights=tiny / "model.safetensors",
        mimi_weights=tiny / "mimi.safetensors",
        tokenizer=tiny / "tokenizer.model",
        config_path=tiny / "config.json",
        mimi_config_path=tiny / "mimi_config.json",
    )
    assert info.lm_config is not None
    return info.lm_config
