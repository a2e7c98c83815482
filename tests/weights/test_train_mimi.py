"""The codec's trainer: exact resume through every phase, a loss that falls, an export that the stock loader streams."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from safetensors.torch import load_file

from duplex.frame import FRAME_SAMPLES
from weights import run, train_mimi
from weights.ahead import Ahead
from weights.bank import Bank, NoBank, Sound, agent_sentences, asked, make_agent, make_anything, make_users
from weights.hearing import UNKNOWN, Speech, bent
from weights.intents import held_out_sentence
from weights.losses import MelDistance, mel_filters
from weights.mimi_settings import Settings, rate
from weights.phones import CLASSES, LATE_SLOTS, SLOTS, class_of, labels
from weights.plan import plan
from weights.train_mimi import MimiTrainee, export
from weights.vocabulary import vocabulary
from weights.voices import AGENT, speaker

CONFIG = json.loads(Path(train_mimi.__file__).with_name("mimi_config.json").read_text())
SMALL = {
    **CONFIG,
    "seanet": {**CONFIG["seanet"], "n_filters": 4, "dimension": 16, "ratios": [16, 12, 10]},
    "quantizer": {"dimension": 8, "n_q": 3, "bins": 16, "input_dimension": 16, "output_dimension": 16},
    "transformer": {
        **CONFIG["transformer"],
        "d_model": 16,
        "num_heads": 2,
        "num_layers": 1,
        "dim_feedforward": 32,
        "context": 4,
        "input_dimension": 16,
        "output_dimensions": [16],
    },
}
# In six steps: warm-up, quantiser from 2, discriminators from 4, unused codes looked for at 4, encoder frozen from 5.
PHASES = Settings(
    agents=1, users=1, frames=4, quantise_from=2, adversarial_after=4, decay_from=3, freeze_from=5, threads=1
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    assert sum(make_users(folder / "user" / "0", minutes=0.2, seed=0, split="train")) >= 0.2
    assert len(list(islice(make_agent(folder / "agent", held_out=False), 4))) == 4
    return folder


def trainee(data: Path, settings: Settings = PHASES) -> MimiTrainee:
    torch.set_num_threads(settings.threads)
    speech = Speech.open(data)
    return MimiTrainee(SMALL, settings, speech, speech)


def agent_says(text: str) -> np.ndarray:
    return speaker("hibari").speak(text, AGENT, seed=0).pcm


def steps(count: int) -> run.Pace:
    return run.Pace(steps=count, log_every=1, evaluate_every=3)


# --- the run ----------------------------------------------------------------------------------------------------------


def test_six_steps_are_three_and_three(data: Path, tmp_path: Path) -> None:
    straight = trainee(data)
    assert run.go(straight, tmp_path / "a", steps(6)) == 6
    assert run.go(trainee(data), tmp_path / "b", steps(3)) == 3
    resumed = trainee(data)
    assert run.go(resumed, tmp_path / "b", steps(6)) == 6
    one, other = straight.parts(), resumed.parts()
    assert set(one) == set(other) == {"mimi", "readers", "optimiser", "critics", "critics_optimiser"}
    for part in one:
        assert one[part].keys() == other[part].keys()
        assert [name for name in one[part] if not torch.equal(one[part][name], other[part][name])] == []
    curves = [[json.loads(line) for line in (tmp_path / x / "curve.jsonl").read_text().splitlines()] for x in "ab"]
    for line in (*curves[0], *curves[1]):
        del line["step_s"]
    assert curves[0] == curves[1]
    assert [line["step"] for line in curves[0]] == [1, 2, 3, 4, 5, 6]
    assert ["deception" in line for line in curves[0]] == [False] * 4 + [True] * 2
    assert len(curves[0][5]["used"]) == 3


def test_the_average_follows_resumes_and_is_what_is_exported(data: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(PHASES, average=0.9)
    straight, resumed = trainee(data, settings), trainee(data, settings)
    other = trainee(data, dataclasses.replace(PHASES, seed=1)).mimi.state_dict()
    begun = {name: tensor.clone() for name, tensor in other.items()}
    stopped = trainee(data, settings)
    for learner in (straight, stopped):
        learner.begin_with(begun)
        for codec in (learner.mimi, learner.average):
            assert all(torch.equal(tensor, begun[name]) for name, tensor in codec.state_dict().items())
    run.go(straight, tmp_path / "a", steps(4))
    run.go(stopped, tmp_path / "b", steps(2))
    run.go(resumed, tmp_path / "b", steps(4))
    mean, now = straight.average.state_dict(), straight.mimi.state_dict()
    assert all(torch.equal(tensor, resumed.average.state_dict()[name]) for name, tensor in mean.items())
    name = "decoder.model.0.conv.conv.weight"
    assert 0 < (mean[name] - begun[name]).norm() < (now[name] - begun[name]).norm()
    book = "quantizer.rvq_first.vq.layers.0._codebook.embedding_sum"
    assert torch.equal(mean[book], now[book])
    made = load_file(export(tmp_path / "a", SMALL) / "mimi.safetensors")
    assert torch.equal(made[name], mean[name]) and not torch.equal(made[name], now[name])


def test_codebooks_that_are_there_stay_while_the_decoder_learns(data: Path) -> None:
    first = trainee(data)
    for n in range(3):
        first.step(n)
    known = {name: tensor.clone() for name, tensor in first.mimi.state_dict().items()}
    decoder = trainee(data, dataclasses.replace(PHASES, quantise_from=0, freeze_from=0))
    decoder.begin_with(known)
    decoder.step(0)
    learnt = decoder.mimi.state_dict()
    changed = {name.split(".")[0] for name in known if not torch.equal(learnt[name], known[name])}
    assert changed == {"decoder", "decoder_transformer"}


def test_a_run_that_is_already_longer_ends_at_once(data: Path, tmp_path: Path) -> None:
    run.go(trainee(data), tmp_path, steps(3))
    assert run.go(trainee(data), tmp_path, steps(2)) == 3


def test_what_is_drawn_ahead_is_what_is_drawn_on_time() -> None:
    drawn = []
    ahead = Ahead(lambda n: drawn.append(n) or n * n)
    assert [ahead(n) for n in (0, 1, 2, 7, 8, 1)] == [0, 1, 4, 49, 64, 1]
    assert set(drawn) >= {0, 1, 2, 7, 8}


def test_a_word_is_read_in_the_frame_after_its_end(data: Path) -> None:
    bank = Bank.open(data / "user")
    frames = np.flatnonzero(bank.words[:, 0])
    assert len(frames) > 10
    assert all(word < len(vocabulary()) for word in bank.words[frames, 0])
    before = np.abs(bank.heard[frames - 1].astype(int)).max(1)
    assert (before > 0).all()  # there the word ended


def test_another_seed_is_another_run(data: Path, tmp_path: Path) -> None:
    one, other = trainee(data), trainee(data, dataclasses.replace(PHASES, seed=1))
    assert one.step(0) != other.step(0)


def test_the_loss_falls(data: Path) -> None:
    settings = Settings(agents=1, users=1, frames=8, rate=3e-3, warm_up=5, quantise_from=140, threads=1)
    learner = trainee(data, settings)
    begin = learner.evaluate()["test_mel"]  # of the same segments each time
    losses = [learner.step(n) for n in range(140)]
    before = learner.evaluate()["test_mel"]
    losses += [learner.step(n) for n in range(140, 240)]
    assert before < 0.7 * begin
    assert learner.evaluate()["test_mel"] < 0.7 * begin  # and the quantiser has not undone it
    first, last = (np.mean([x["semantic"] for x in losses[s]]) for s in (slice(3), slice(220, 240)))
    assert last < 0.8 * first  # one step alone is as good as its two segments are easy


def test_a_run_ends_with_its_time_and_saves_on_the_way(data: Path, tmp_path: Path) -> None:
    ticks = iter(range(0, 10_000, 20))  # every look at the clock costs 20 s
    pace = run.Pace(minutes=5, checkpoint_minutes=1, log_every=1, evaluate_every=100, keep=2)
    done = run.go(trainee(data), tmp_path / "o", pace, clock=lambda: float(next(ticks)))
    assert 0 < done < 15
    kept = sorted(path.name for path in (tmp_path / "o" / "checkpoints").iterdir())
    assert len(kept) == 2
    assert kept[-1] == f"{done:08d}"


def test_what_a_killed_run_left_half_done_is_dropped(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    run.go(trainee(data), out, steps(1))
    (out / "checkpoints" / "00000002.partial").mkdir()
    with (out / "curve.jsonl").open("a") as curve:
        curve.write('{"step": 2, "loss": 1.0}\n{"step": 3, "lo')
    assert run.resume(trainee(data), out) == 1
    run.Curve(out / "curve.jsonl", 1)
    assert [json.loads(line)["step"] for line in (out / "curve.jsonl").read_text().splitlines()] == [1]


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_saved(tmp_path: Path) -> None:
    class Diverges:
        def step(self, n: int) -> dict[str, float]:
            return {"loss": float("nan")}

        def evaluate(self) -> run.Numbers:
            return {}

        def parts(self) -> dict[str, run.Tensors]:
            return {"x": {"x": torch.zeros(1)}}

        def restore(self, parts: object) -> None: ...

    with pytest.raises(run.NotFinite, match="step 0"):
        run.go(Diverges(), tmp_path, run.Pace())
    assert run.load(tmp_path) is None


def test_a_checkpoint_of_another_model_is_refused(data: Path, tmp_path: Path) -> None:
    run.go(trainee(data), tmp_path / "o", steps(1))
    wider = {**SMALL, "seanet": {**SMALL["seanet"], "n_filters": 8}}
    speech = Speech.open(data)
    with pytest.raises(ValueError, match="another mimi_config"):
        run.resume(MimiTrainee(wider, PHASES, speech, speech), tmp_path / "o")


def test_the_rate_rises_stays_and_falls_to_a_tenth() -> None:
    settings = Settings(rate=1.0, warm_up=10, decay_from=100, decay_steps=50)
    assert [round(rate(settings, n), 3) for n in (0, 4, 9, 100, 125, 150, 999)] == [0.1, 0.5, 1, 1, 0.55, 0.1, 0.1]


def test_the_rate_falls_once_more_when_only_the_decoder_is_left() -> None:
    settings = Settings(rate=1.0, warm_up=0, decay_from=0, decay_steps=10, freeze_from=20, frozen_steps=10)
    assert [round(rate(settings, n), 2) for n in (0, 10, 19, 20, 25, 30, 99)] == [1, 0.1, 0.1, 1, 0.55, 0.1, 0.1]


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_the_stock_loader_streams_the_export(data: Path, tmp_path: Path) -> None:
    learner = trainee(data)
    run.go(learner, tmp_path / "o", steps(6))
    folder = export(tmp_path / "o", SMALL)
    config = json.loads((folder / "mimi_config.json").read_text())
    mimi = loaders.get_mimi(folder / "mimi.safetensors", config, num_codebooks=3)
    frames = 10
    pcm = torch.from_numpy(agent_says("One, two, three.")[: frames * FRAME_SAMPLES]).view(1, 1, -1)
    with torch.no_grad():
        codes = mimi.encode(pcm)  # [1, 3, 10]
        audio = mimi.decode(codes)
        with mimi.streaming(1):
            chunks = [mimi.encode(chunk) for chunk in pcm.split(FRAME_SAMPLES, -1)]
        with mimi.streaming(1):
            heard = [mimi.decode(chunk) for chunk in codes.split(1, -1)]
    assert codes.shape == (1, 3, frames)
    assert len(codes.unique()) > 3
    assert_same_sound(mimi, torch.cat(chunks, -1), codes)
    assert torch.allclose(torch.cat(heard, -1), audio, atol=1e-4)
    made = learner.mimi.eval()
    assert_same_sound(mimi, made.encode(pcm), codes)


def assert_same_sound(mimi: MimiModel, codes: torch.Tensor, others: torch.Tensor) -> None:
    """Equal codes, but for codes that stand for the same vector: after six steps there still are some."""
    assert torch.allclose(mimi.decode_latent(codes), mimi.decode_latent(others), atol=1e-4)


def test_from_the_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    where = ["--data", str(data), "--out", str(tmp_path / "o"), "--config", str(tmp_path / "small.json")]
    flags = [
        "agents=1",
        "users=1",
        "decoded_users=1",
        "frames=8",
        "quantise_from=1",
        "pace.steps=2",
        "pace.log_every=1",
        "pace.evaluate_every=2",
    ]
    assert train_mimi.main([*where, *(x for flag in flags for x in ("--set", flag))]) == 0
    assert "test_mel" in capsys.readouterr().out
    assert (tmp_path / "o" / "export" / "mimi.safetensors").exists()
    assert train_mimi.main([*where, "--set", "user=2"]) == 2
    assert "users" in capsys.readouterr().err
    assert train_mimi.main([*where, "--filters", "16"]) == 2
    assert "--init" in capsys.readouterr().err


# --- the data ---------------------------------------------------------------------------------------------------------


def whole(sound: Sound) -> np.ndarray:
    """Of one shard."""
    return sound[np.arange(len(sound))]


def test_a_bank_has_the_agent_say_the_same_at_the_same_time(data: Path) -> None:
    bank = Bank.open(data / "user")
    assert bank.paired.all()
    heard, meant = (np.square(whole(x).astype(np.float32)).mean(axis=1) for x in (bank.heard, bank.meant))
    loud = heard > heard.max() / 100
    assert np.mean((meant > meant.max() / 1000)[loud]) > 0.95
    assert not np.array_equal(whole(bank.heard), whole(bank.meant))
    assert (bank.phones[~loud] == 0).mean() > (bank.phones[loud] == 0).mean()


def test_the_agents_bank_leaves_out_what_the_codec_is_judged_by() -> None:
    held_out = [text for text in agent_sentences() if held_out_sentence(text)]
    assert 0.03 < len(held_out) / len(agent_sentences()) < 0.08
    assert len(set(agent_sentences())) == len(agent_sentences())


def test_shards_are_one_bank_and_a_half_written_frame_is_left_out(data: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        list(make_users(tmp_path / "user" / str(seed), minutes=0.05, seed=seed, split="test"))
    lengths = [len(Bank.open(tmp_path / "user" / str(seed)).phones) for seed in (1, 2)]
    both = Bank.open(tmp_path / "user")
    assert len(both.phones) == len(both.heard) == sum(lengths)
    second = Bank.open(tmp_path / "user" / "2")
    np.testing.assert_array_equal(both.heard[np.arange(3, 20) + lengths[0]], second.heard[np.arange(3, 20)])
    np.testing.assert_array_equal(both.phones[lengths[0] :], second.phones)
    with (tmp_path / "user" / "2" / "meant.bin").open("r+b") as file:
        file.truncate(FRAME_SAMPLES * 2 * 5 + 7)
    assert len(Bank.open(tmp_path / "user").heard) == lengths[0] + 5


def test_little_of_what_is_trained_on_is_whole_sentences_and_all_that_is_tested_on() -> None:
    shares = {}
    for split in ("train", "test"):
        known = {line.text for seed in range(200) for line in plan(seed, split).lines}
        said = list(islice(asked(0, split), 500))
        assert not any("{" in text for text in said)
        shares[split] = np.mean([text in known for text in said[:100]])
    assert shares["test"] > 0.3 > 0.15 > shares["train"]


def test_the_agents_voice_says_anything(tmp_path: Path) -> None:
    """Not sentences, and not the same for two seeds; its words are in the list of words."""
    made = [sum(make_anything(tmp_path / str(seed), minutes=0.2, seed=seed)) for seed in (1, 2)]
    banks = [Bank.open(tmp_path / str(seed)) for seed in (1, 2)]
    for minutes, bank in zip(made, banks, strict=True):
        assert len(bank.heard) == round(minutes * 750) and minutes >= 0.2
        assert bank.paired.all() and np.array_equal(whole(bank.heard), whole(bank.meant))
        assert len(set(bank.words[bank.words > 1].tolist())) > 10 and not (bank.words == 1).any()
    assert banks[0].heard[np.arange(50)].tobytes() != banks[1].heard[np.arange(50)].tobytes()


def test_a_folder_without_a_bank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoBank, match=r"weights\.bank"):
        Speech.open(tmp_path)


def test_what_is_heard_is_a_function_of_the_generator_and_the_target_stays_clean(data: Path) -> None:
    speech = Speech.open(data)
    a, b = (speech.draw(np.random.default_rng(5), agents=1, users=20, frames=8) for _ in range(2))
    np.testing.assert_array_equal(a.heard, b.heard)
    assert a.heard.shape == (21, 8 * FRAME_SAMPLES)
    assert a.phones.shape == (21, 8, SLOTS)
    np.testing.assert_array_equal(a.heard[0], a.meant[0])
    assert len({round(float(row.std()), 4) for row in a.heard[1:]}) > 15  # levels differ
    meant = whole(Bank.open(data / "user").meant)
    row = (a.meant[3].reshape(-1, FRAME_SAMPLES)[4] * 32768).astype(np.int16)
    assert not row.any() or (meant == row).all(axis=1).any()


def test_a_voice_that_is_bent_keeps_its_labels(data: Path) -> None:
    bank = Bank.open(data / "user")
    numbers = np.arange(24)
    pcm, words = bank.heard[numbers].reshape(-1) / 32768, bank.words[numbers, 0].astype(np.int64)
    words[:3] = UNKNOWN  # as in every segment: what ended there began before it
    heard, meant, phones, moved = bent(pcm, bank.phones[numbers], words, frames=20, bend=1.15)
    assert heard.shape == meant.shape == (20 * FRAME_SAMPLES,) and not meant.any()
    before, after = np.flatnonzero(words > 0), np.flatnonzero(moved > 0)
    kept = {int(np.ceil(k / 1.15)): words[k] for k in before}  # of two that end in one frame the later one
    assert len(after) > 1 and {t: moved[t] for t in after} == {t: word for t, word in kept.items() if t < 20}
    assert moved[0] == UNKNOWN
    assert agreement(heard, phones) > agreement(pcm, bank.phones[numbers]) - 0.05
    same = bent(pcm, bank.phones[numbers], words, frames=24, bend=1.0)
    np.testing.assert_allclose(same[0], pcm, atol=1e-6)
    np.testing.assert_array_equal(same[2], bank.phones[numbers])


def agreement(pcm: np.ndarray, phones: np.ndarray) -> float:
    """The share of slots in which there is a sound where one is named, and none where none is."""
    levels = np.sqrt(np.mean(pcm.reshape(-1, FRAME_SAMPLES // SLOTS) ** 2, 1))
    return float(np.mean((levels > 0.005)[:-LATE_SLOTS] == (phones.reshape(-1) > 0)[LATE_SLOTS:]))


def test_labels_name_the_sound_amid_each_slot_a_little_later() -> None:
    slot = FRAME_SAMPLES // SLOTS
    t, n = class_of("t"), class_of("n")
    assert t and n and class_of("!") is None
    found = labels([(t, 0, 2 * slot), (n, 2 * slot, 3 * slot)], frames=2)
    assert found.shape == (2, SLOTS)
    assert found.flatten().tolist() == [0] * LATE_SLOTS + [t, t, n] + [0] * (8 - LATE_SLOTS - 3)


def test_a_clip_knows_its_sounds() -> None:
    clip = speaker("hibari").speak("Tea for two.", AGENT, seed=0)
    kinds = [phone.kind for phone in clip.phones]
    assert kinds == [class_of(letter) for letter in "tifɔɹtu"]
    assert all(0 < kind < CLASSES for kind in kinds)
    assert all(a.end <= b.begin for a, b in zip(clip.phones, clip.phones[1:], strict=False))


# --- the losses -------------------------------------------------------------------------------------------------------


def test_mel_distance_is_nothing_for_equals_and_grows_with_noise() -> None:
    speech = torch.from_numpy(agent_says("Good morning, everybody.")[None, : 16 * FRAME_SAMPLES]).requires_grad_()
    noise = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    distance = MelDistance()
    assert distance(speech, speech).item() == 0
    some, more = distance(speech + 0.003 * noise, speech), distance(speech + 0.03 * noise, speech)
    assert 0 < some.item() < more.item()
    silence = torch.zeros(1, 8000, requires_grad=True)
    distance(silence, torch.zeros(1, 8000)).backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


def test_mel_filters_put_a_tone_where_it_belongs() -> None:
    filters = mel_filters(2048, 80)
    assert filters.shape == (80, 1025)
    peaks = filters.argmax(dim=1)
    assert (peaks.diff() >= 0).all()
    assert (filters.sum(dim=1) > 0).all()
