"""The LM's trainer: what it computes is what streaming computes, resume is exact, it learns, its export is loaded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from moshi.models import loaders
from moshi.models.lm import LMGen, LMModel
from moshi.quantization.core_vq import EuclideanCodebook
from moshi.utils.compile import no_compile

from duplex.engine.depth import Depth, fits
from duplex.engine.text import END_OF_PAD, PAD
from tests.engine.tiny import LM, MIMI, write_tiny
from weights import run, train_moshi
from weights.disturb import Disturb, disturbed
from weights.lm import begin_with_codebooks, build, delayed, listen, speak
from weights.lm_losses import Weights, audio_losses, text_losses
from weights.shards import Batch, Format, NoTokens, Spans, TokenData, Tokens, Writer, write_format
from weights.train_moshi import MoshiTrainee, Settings, export, rate

K, CARD = 4, LM["card"]
WORDS = ["", "?", "hello", "rain", "sun"]
SMALL = Settings(batch=2, ticks=24, warm_up=2, decay_steps=20, held_out=2, threads=1)


def dialogues(out: Path, count: int = 4, ticks: int = 40, late: Spans = ()) -> Path:
    """The user says a word (a code of his own), the agent answers with a piece of text and a code for that word."""
    write_format(out, Format(K, (0,) * K, "mimi", "tokenizer"), WORDS)
    writer = Writer(out / "train-0-0", 1 + 2 * K)
    for seed in range(count):
        codes, words = np.zeros((ticks, 1 + 2 * K), np.int16), np.zeros(ticks, np.int16)
        codes[:, 0] = PAD
        replies, spoken = [], []
        for at in range(4, ticks - 8, 12):
            word = 2 + (seed + at // 12) % 3
            codes[at, 1 + K :] = words[at + 1] = word
            codes[at + 2, 0] = 10 + word
            codes[at + 2 : at + 5, 1 : 1 + K] = 20 + word
            replies.append(at + 2)
            spoken.append((at - 1, at + 6))
        writer.append(Tokens(codes, words, {"id": f"train {seed}", "replies": replies, "spoken": spoken, "late": late}))
    return out


def trainee(data: Path, settings: Settings = SMALL) -> MoshiTrainee:
    torch.set_num_threads(settings.threads)
    tokens = TokenData([data])
    return MoshiTrainee(build(LM, settings.seed), settings, tokens, tokens)


def steps(count: int) -> run.Pace:
    return run.Pace(steps=count, log_every=1, evaluate_every=3)


# --- the same as streaming --------------------------------------------------------------------------------------------


class Forced(LMGen):
    """Says what it is told, and remembers what it would have said."""

    def __init__(self, lm: LMModel, said: torch.Tensor) -> None:
        """`said` [1 + K, T], of the ticks 1, 2 ... T"""
        super().__init__(lm, use_sampling=False, on_text_logits_hook=self._keep, on_text_hook=self._force)
        self.text_logits, self.audio_logits, self.said, self.position = [], [], said, 0

    def _keep(self, logits: torch.Tensor) -> None:
        self.text_logits.append(logits[0, 0, 0])

    def _force(self, token: torch.Tensor) -> None:
        token[:] = self.said[0, self.position]

    def depformer_step(self, text_token: torch.Tensor, transformer_out: torch.Tensor) -> torch.Tensor:
        depth, n = Depth(self.lm_model, 1), self.position
        late = self.said[2:, n - 1] if n else torch.full((K - 1,), CARD)
        forced = torch.cat([self.said[1:2, n], late])
        previous = [text_token, *forced[:, None]]
        given = depth.inputs(transformer_out)
        self.audio_logits.append(torch.stack([depth.logits(k, previous[k], given[k])[0] for k in range(K)]))
        self.position += 1
        return forced[None]


@pytest.mark.parametrize("user_delay", [1, 0], ids=["Moshi's own delays", "the user not delayed"])
def test_training_computes_what_streaming_computes(user_delay: int) -> None:
    """Token for token, through Moshi's own generator and the engine's depth transformer, far beyond the context."""
    lm = build(LM | {"delays": [*LM["delays"][: 2 + K], *[user_delay] * (K - 1)]}, 0).eval()
    assert fits(lm)
    ticks = 3 * LM["context"]
    codes = torch.randint(0, CARD, (1 + 2 * K, ticks), generator=torch.Generator().manual_seed(0))
    gen = Forced(lm, codes[: 1 + K])
    with torch.no_grad(), no_compile(), gen.streaming(1):
        gen.step(torch.zeros(1, K, 1, dtype=torch.long))  # tick 0 of the user is not heard
        for tick in range(1, ticks):
            gen.step(codes[None, 1 + K :, tick - 1, None])
    with torch.no_grad():
        sequence = delayed(lm, codes[None])
        heard = listen(lm, sequence[:, :, :-1])
        whole = speak(lm, heard[0], sequence[0, : 1 + K, 1:].T[:, :-1])  # [T, K, card]
        text = lm.text_linear(heard)[0]
    torch.testing.assert_close(text, torch.stack(gen.text_logits), atol=1e-5, rtol=1e-4)
    streamed = torch.stack(gen.audio_logits)
    torch.testing.assert_close(whole[:, 0], streamed[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole[1:], streamed[1:], atol=1e-5, rtol=1e-4)  # before, only the first codebook is said
    assert text.std() > 0.1 and whole.std() > 0.1


def test_training_computes_what_moshis_own_forward_computes() -> None:
    lm = build(LM, 0).eval()
    codes = torch.randint(0, CARD, (2, 1 + 2 * K, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), no_compile():
        stock = lm(codes)
        sequence = delayed(lm, codes)
        heard = listen(lm, sequence[:, :, :-1])
        ours = speak(lm, heard.flatten(0, 1), sequence[:, : 1 + K, 1:].transpose(1, 2).flatten(0, 1)[:, :-1])
    ours = ours.view(2, 20, K, CARD).transpose(1, 2)
    torch.testing.assert_close(ours[:, 0], stock.logits[:, 0])
    torch.testing.assert_close(ours[:, 1:, 1:], stock.logits[:, 1:, :-1])  # these are delayed by one
    torch.testing.assert_close(lm.text_linear(heard), stock.text_logits[:, 0])


def test_a_new_lm_may_begin_with_the_codecs_vectors() -> None:
    """The user's embeddings add up to the codec's latent, turned and scaled."""
    mimi = loaders.get_mimi(None, MIMI, num_codebooks=K)
    for module in mimi.modules():
        if isinstance(module, EuclideanCodebook):
            module.embedding_sum.normal_()
    lm = build(LM, 0)
    begin_with_codebooks(lm, mimi, seed=0)
    codes = torch.randint(0, CARD, (20, K))
    latent = mimi.decode_latent(codes.T[None])[0].T
    heard = torch.stack([lm.emb[K + k](codes[:, k]) for k in range(K)]).sum(0)
    ours, theirs = (torch.cdist(x, x).flatten() for x in (heard, latent))
    assert torch.corrcoef(torch.stack([ours, theirs]))[0, 1] > 0.9999
    with pytest.raises(ValueError, match="not this LM's"):
        begin_with_codebooks(build(LM | {"n_q": 4, "dep_q": 2, "delays": [0] * 5}, 0), mimi, seed=0)


# --- the run ----------------------------------------------------------------------------------------------------------


def test_six_steps_are_three_and_three(tmp_path: Path) -> None:
    data = dialogues(tmp_path / "data")
    straight = trainee(data)
    assert run.go(straight, tmp_path / "a", steps(6)) == 6
    assert run.go(trainee(data), tmp_path / "b", steps(3)) == 3
    resumed = trainee(data)
    assert run.go(resumed, tmp_path / "b", steps(6)) == 6
    one, other = straight.parts(), resumed.parts()
    assert set(one) == set(other) == {"model", "reading", "optimiser", "average"}
    for part in one:
        assert one[part].keys() == other[part].keys()
        assert [name for name in one[part] if not torch.equal(one[part][name], other[part][name])] == []
    curves = [[json.loads(line) for line in (tmp_path / x / "curve.jsonl").read_text().splitlines()] for x in "ab"]
    for line in (*curves[0], *curves[1]):
        del line["step_s"]
    assert curves[0] == curves[1]
    assert {"text", "audio", "code1", "code4", "words", "held_out_text", "held_out_reply_right"} <= set(curves[0][5])


def test_it_learns_to_answer(tmp_path: Path) -> None:
    calm = Disturb(user_code=0.02, user_frame=0.0, user_fine=0.1, user_coarse=0.0, agent_code=0.0)
    settings = Settings(batch=4, ticks=24, rate=1e-2, warm_up=5, decay_steps=80, average=0.9, disturb=calm, threads=1)
    learner = trainee(dialogues(tmp_path / "data"), settings)
    before = learner.evaluate()
    for n in range(80):
        learner.step(n)
    after = learner.evaluate()
    assert after["held_out_text"] < 0.2 * before["held_out_text"]
    assert after["held_out_audio"] < 0.2 * before["held_out_audio"]
    assert after["held_out_reply_right"] > 0.9
    assert after["held_out_words_right"] > 0.9


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    learner = trainee(dialogues(tmp_path / "data"))
    begin = learner.average.text_linear.weight.clone()
    learner.step(0)
    now, mean = learner.lm.text_linear.weight, learner.average.text_linear.weight
    torch.testing.assert_close(mean, torch.lerp(begin, now, 0.9))
    without = trainee(tmp_path / "data", dataclasses.replace(SMALL, average=0.0))
    assert without.average is without.lm and "average" not in without.parts()


def test_a_new_head_reads_alone_before_it_teaches(tmp_path: Path) -> None:
    only_words = Weights(text=0.0, audio=0.0)
    settings = dataclasses.replace(SMALL, reading_alone=1, weights=only_words, weight_decay=0.0)
    learner = trainee(dialogues(tmp_path), settings)

    def now(part: str) -> list[torch.Tensor]:
        return [tensor.clone() for tensor in learner.parts()[part].values()]

    lm, head = now("model"), now("reading")
    learner.step(0)
    assert all(torch.equal(a, b) for a, b in zip(lm, now("model"), strict=True))
    assert not torch.equal(head[0], now("reading")[0])
    learner.step(1)
    assert not all(torch.equal(a, b) for a, b in zip(lm, now("model"), strict=True))


def test_it_goes_on_from_a_checkpoint_of_its_own_shape_only(tmp_path: Path) -> None:
    data = dialogues(tmp_path / "data")
    run.go(trainee(data), tmp_path / "o", steps(1))
    other = MoshiTrainee(build(LM | {"num_layers": 1}, 0), SMALL, TokenData([data]))
    with pytest.raises(ValueError, match="another config"):
        run.resume(other, tmp_path / "o")
    with pytest.raises(ValueError, match="n_q 4 and dep_q 2"):
        MoshiTrainee(build(LM | {"n_q": 4, "dep_q": 2, "delays": [0] * 5}, 0), SMALL, TokenData([data]))


# --- what goes in -----------------------------------------------------------------------------------------------------


def test_disturbances_come_in_their_shares() -> None:
    lm, codes = build(LM, 0), np.full((200, 1 + 2 * K, 50), 7, np.int64)
    rng = np.random.default_rng(0)
    out = disturbed(codes, Disturb(0.1, 0.0, 0.0, 0.0, 0.02), lm, rng)
    assert (codes == 7).all() and (out[:, 0] == 7).all()
    assert (out[:, 1 + K :] != 7).mean() == pytest.approx(0.1 * (CARD - 1) / CARD, rel=0.1)
    assert (out[:, 1 : 1 + K] != 7).mean() == pytest.approx(0.02 * (CARD - 1) / CARD, rel=0.15)
    missing = disturbed(codes, Disturb(0.0, 0.0, 0.0, 0.3, 0.0), lm, rng)[:, 1 + K :] == -1
    assert (missing.all(-1) == missing.any(-1)).all()
    assert missing[:, :, 0].mean(0).tolist() == pytest.approx([0.0, 0.3, 0.3, 0.3], abs=0.1)
    frames = disturbed(codes, Disturb(0.0, 0.2, 0.0, 0.0, 0.0), lm, rng)[:, 1 + K :] != 7
    assert (frames.sum(1) > 1).mean() == pytest.approx(0.2, rel=0.1)


def test_a_missing_code_is_no_code() -> None:
    lm = build(LM, 0).eval()
    codes = torch.zeros(1, 1 + 2 * K, 5, dtype=torch.long)
    codes[:, -1] = -1
    with torch.no_grad():
        missing = listen(lm, codes)
        list(lm.emb.parameters())[-1].zero_()
        torch.testing.assert_close(missing, listen(lm, codes.clamp(min=0)))


def test_segments_begin_where_nobody_speaks(tmp_path: Path) -> None:
    data = TokenData([dialogues(tmp_path / "data")])
    batch = data.draw(np.random.default_rng(0), 50, 16)
    assert isinstance(batch, Batch) and batch.codes.shape == (50, 1 + 2 * K, 16) and batch.words.shape == (50, 16)
    assert (batch.codes[:, 1:, 0] == 0).all() and (batch.codes[:, 0, 0] == PAD).all()
    assert (batch.replies == (batch.codes[:, 0] > PAD)).all()
    assert len({row.tobytes() for row in batch.codes}) > 10
    long = data.first(2, 60)
    assert (long.codes[:, 0, 40:] == -1).all() and (long.words[:, 40:] == -1).all()
    assert (long.codes[:, 1:, 40:] == 0).all()


def test_no_segment_begins_where_an_answer_is_owed(tmp_path: Path) -> None:
    """Its question is not in the segment, so that the agent would learn to speak unasked."""
    data = TokenData([dialogues(tmp_path / "data", late=[(10, 15)])])
    batch = data.draw(np.random.default_rng(0), 50, 16)
    assert batch.late.any() and not batch.late[:, 0].any()


def test_nothing_is_learnt_from_ticks_in_which_the_agent_is_late(tmp_path: Path) -> None:
    """Its own text and sound there are no targets; elsewhere, and as what came before, they count as ever."""
    by, late = (TokenData([dialogues(tmp_path / name, late=spans)]) for name, spans in (("by", ()), ("late", [(6, 9)])))
    marked = late.first(2, 20)
    assert np.flatnonzero(marked.late[0]).tolist() == [6, 7, 8] and not by.first(2, 20).late.any()
    other = dataclasses.replace(marked, codes=marked.codes.copy())
    other.codes[:, : 1 + K, 6:8] = 9  # the delayed codebooks of tick 8 are predicted in tick 9
    judged = trainee(tmp_path / "late", dataclasses.replace(SMALL, loud_share=1.0, silent_share=1.0))
    losses = [
        judged._losses(judged.lm, dataclasses.replace(batch, late=where), marked.codes, np.random.default_rng(0))
        for where in (marked.late, np.zeros_like(marked.late))
        for batch in (marked, other)
    ]
    hidden, same, seen, differs = (loss["total"].item() for loss in losses)
    assert hidden == same and seen != differs


def test_what_was_put_off_counts_for_all_the_ticks_before_it(tmp_path: Path) -> None:
    batch = TokenData([dialogues(tmp_path / "late", late=[(6, 9)])]).first(2, 20)
    assert [(int(t), int(batch.overdue[0, t])) for t in np.flatnonzero(batch.overdue[0])] == [(9, 3)]
    judged = trainee(tmp_path / "late", dataclasses.replace(SMALL, loud_share=0.0, silent_share=0.0))
    never = dataclasses.replace(batch, overdue=np.zeros_like(batch.overdue))
    due, other = (judged._losses(judged.lm, b, b.codes, np.random.default_rng(0)) for b in (batch, never))
    assert due["audio"] > 0 and other["audio"] == 0 and due["text"] != other["text"]
    long, longer = (dataclasses.replace(batch, overdue=np.where(batch.overdue, n, 0)) for n in (8, 27))
    eight, more = (judged._losses(judged.lm, b, b.codes, np.random.default_rng(0))["text"] for b in (long, longer))
    assert eight == more != due["text"]


def test_a_late_reply_counts_more_where_it_begins() -> None:
    lm = build(LM, 0)
    heard, target = torch.randn(1, 4, lm.dim), torch.tensor([[PAD, END_OF_PAD, 9, PAD]])
    replies = torch.zeros(1, 4, dtype=torch.bool)

    def text_loss(late_reply: float, *times: int) -> float:
        weights = Weights(late_reply=late_reply)
        return text_losses(lm, heard, target, replies, torch.tensor([times]), weights)["text"].item()

    assert text_loss(1.0, 1, 1, 1, 3) == text_loss(4.0, 1, 1, 1, 3)  # a late stop, a reply in time
    assert text_loss(4.0, 1, 2, 1, 1) == pytest.approx(text_loss(1.0, 1, 8, 1, 1)) != text_loss(1.0, 1, 2, 1, 1)


def test_a_late_stop_counts_more_for_the_text_and_the_voice() -> None:
    lm = build(LM, 0)
    heard, loud, chosen = torch.randn(1, 4, lm.dim), torch.ones(1, 4).bool(), torch.ones(1, 4).bool()
    said = torch.randint(0, CARD, (1, 1 + K, 4))
    said[0, 0] = torch.tensor([PAD, END_OF_PAD, 9, PAD])

    def text_loss(late_stop: float, *times: int) -> float:
        weights = Weights(late_stop=late_stop)
        return text_losses(lm, heard, said[:, 0], loud, torch.tensor([times]), weights)["text"].item()

    def audio_loss(late_stop: float, *times: int) -> float:
        weights = Weights(late_stop=late_stop)
        return audio_losses(lm, heard, said, loud, chosen, torch.tensor([times]), weights)["audio"].item()

    for loss in (text_loss, audio_loss):
        assert loss(1.0, 1, 3, 1, 1) == loss(4.0, 1, 3, 1, 1)  # a late reply, a stop in time
        assert loss(4.0, 1, 1, 1, 2) == pytest.approx(loss(1.0, 1, 1, 1, 8)) != loss(1.0, 1, 1, 1, 2)


def test_data_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    one, other = dialogues(tmp_path / "one"), tmp_path / "other"
    write_format(other, Format(K, (1,) * K, "mimi", "tokenizer"), WORDS)
    with pytest.raises(NoTokens, match="differ"):
        TokenData([one, other])
    with pytest.raises(NoTokens, match="not one dialogue"):
        TokenData([other])
    with pytest.raises(NoTokens, match=r"weights\.tokens"):
        TokenData([tmp_path])
    assert TokenData([one, dialogues(tmp_path / "two")]).frames == 2 * 4 * 40


def test_the_rate_rises_and_falls() -> None:
    settings = Settings(rate=1.0, warm_up=10, decay_steps=100, last_rate=0.1)
    assert rate(settings, 0) == pytest.approx(0.1) and rate(settings, 9) > 0.95
    assert rate(settings, 50) == pytest.approx(0.55)
    assert rate(settings, 100) == rate(settings, 500) == pytest.approx(0.1)


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_the_stock_loader_takes_the_export(tmp_path: Path) -> None:
    tiny, data = write_tiny(tmp_path / "tiny"), dialogues(tmp_path / "data")
    arguments = ["--data", str(data), "--out", str(tmp_path / "o"), "--init", str(tiny), "--minutes", "1"]
    small = ["pace.steps=2", "pace.log_every=1", "batch=2", "ticks=24", "threads=1", "file_dtype=bfloat16", "rate=1e-9"]
    assert train_moshi.main([*arguments, *(x for pair in small for x in ("--set", pair))]) == 0
    folder = tmp_path / "o" / "export"
    info = loaders.CheckpointInfo.from_hf_repo(
        "tiny",
        moshi_weights=folder / "model.safetensors",
        mimi_weights=tiny / "mimi.safetensors",
        tokenizer=tiny / "tokenizer.model",
        config_path=folder / "config.json",
        mimi_config_path=tiny / "mimi_config.json",
    )
    lm = info.get_moshi("cpu", dtype=torch.float32)
    begin = loaders.get_moshi_lm(tiny / "model.safetensors", lm_kwargs=info.lm_config, dtype=torch.float32)
    for name, tensor in begin.state_dict().items():
        torch.testing.assert_close(lm.state_dict()[name], tensor.bfloat16().float(), atol=1e-6, rtol=1e-6)


def test_there_must_be_something_to_export_and_to_train_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        export(tmp_path, {})
    assert train_moshi.main(["--data", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "weights.tokens" in capsys.readouterr().err
