"""The codec's trainer: exact resume through every phase, a loss that falls, an export that the stock loader streams."""

from __future__ import annotations

import dataclasses
import json
import wave
from functools import cache
from pathlib import Path

import hibari
import numpy as np
import pytest
import torch
from moshi.models import loaders

from duplex.checkpoint import locate
from duplex.frame import FRAME_SAMPLES
from weights import run, train_mimi
from weights.clips import Clips, NoClips, open_clips
from weights.losses import MelDistance, mel_filters
from weights.teacher import DIM, Lessons, Whisper, open_lessons
from weights.train_mimi import Augment, MimiTrainee, Settings, augmented, coloured, export, rate

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
# In six steps: warm-up, quantiser from 2, all three k-means by 4, discriminators from 4, unused codes at 4.
PHASES = Settings(
    batch=2, frames=4, quantise_from=2, adversarial_after=4, decay_from=3, augment=Augment(share=0.5), threads=1
)


@cache
def sentences() -> tuple[np.ndarray, ...]:
    voice = hibari.Hibari()
    return tuple(voice(text, seed=0) for text in ("Paris is the capital.", "One, two, three.", "Good morning."))


def write_wav(path: Path, pcm: np.ndarray, hz: int = 24_000) -> None:
    """float [n] or [n, C]"""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1 if pcm.ndim == 1 else pcm.shape[1], 2, hz, 0, "NONE", ""))
        wav.writeframes((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for i, pcm in enumerate(sentences()):
        write_wav(tmp_path / "data" / f"{i}.wav", pcm)
    return tmp_path / "data"


def levels_teacher(pcm: np.ndarray) -> np.ndarray:
    """A teacher as quick as can be: DIM frequency bands."""
    return np.log(np.abs(np.fft.rfft(pcm.reshape(-1, FRAME_SAMPLES)))[:, :DIM] + 1e-2)


def trainee(data: Path, settings: Settings = PHASES) -> MimiTrainee:
    torch.set_num_threads(settings.threads)
    clips = open_clips(data, data.parent / "cache")
    return MimiTrainee(SMALL, settings, clips, open_lessons(clips, data.parent / "cache", levels_teacher))


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
    assert set(one) == set(other) == {"mimi", "reading", "optimiser", "critics", "critics_optimiser"}
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


def test_another_seed_is_another_run(data: Path, tmp_path: Path) -> None:
    one, other = trainee(data), trainee(data, dataclasses.replace(PHASES, seed=1))
    assert one.step(0) != other.step(0)


def test_the_loss_falls(data: Path) -> None:
    settings = Settings(batch=2, frames=8, rate=3e-3, warm_up=5, quantise_from=30, threads=1)
    learner = trainee(data, settings)
    losses = [learner.step(n) for n in range(60)]
    begin, before, after = (np.mean([x["mel"] for x in losses[s]]) for s in (slice(3), slice(25, 30), slice(55, 60)))
    assert before < 0.7 * begin
    assert after < 0.7 * begin  # and the quantiser has not undone it
    assert losses[-1]["semantic"] < 0.9 * losses[0]["semantic"]


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
    clips = open_clips(data, tmp_path / "cache")
    with pytest.raises(ValueError, match="another mimi_config"):
        run.resume(MimiTrainee(wider, PHASES, clips, None), tmp_path / "o")


def test_the_rate_rises_stays_and_falls_to_a_tenth() -> None:
    settings = Settings(rate=1.0, warm_up=10, decay_from=100, decay_steps=50)
    assert [round(rate(settings, n), 3) for n in (0, 4, 9, 100, 125, 150, 999)] == [0.1, 0.5, 1, 1, 0.55, 0.1, 0.1]


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_the_stock_loader_streams_the_export(data: Path, tmp_path: Path) -> None:
    learner = trainee(data)
    run.go(learner, tmp_path / "o", steps(6))
    folder = export(tmp_path / "o", SMALL)
    config = json.loads((folder / "mimi_config.json").read_text())
    mimi = loaders.get_mimi(folder / "mimi.safetensors", config, num_codebooks=3)
    frames = 10
    pcm = torch.from_numpy(sentences()[0][: frames * FRAME_SAMPLES]).view(1, 1, -1)
    with torch.no_grad():
        codes = mimi.encode(pcm)  # [1, 3, 10]
        audio = mimi.decode(codes)
        with mimi.streaming(1):
            chunks = [mimi.encode(chunk) for chunk in pcm.split(FRAME_SAMPLES, -1)]
        with mimi.streaming(1):
            heard = [mimi.decode(chunk) for chunk in codes.split(1, -1)]
    assert codes.shape == (1, 3, frames)
    assert len(codes.unique()) > 3
    assert torch.equal(torch.cat(chunks, -1), codes)
    assert torch.allclose(torch.cat(heard, -1), audio, atol=1e-4)
    made = learner.mimi.eval()
    assert torch.equal(made.encode(pcm), codes)


def test_from_the_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    where = ["--data", str(data), "--out", str(tmp_path / "o"), "--config", str(tmp_path / "small.json")]
    flags = [
        "semantic=0",
        "batch=2",
        "frames=8",
        "quantise_from=1",
        "pace.steps=2",
        "pace.log_every=1",
        "pace.evaluate_every=2",
    ]
    assert train_mimi.main([*where, *(x for flag in flags for x in ("--set", flag))]) == 0
    assert "held_out_mel" in capsys.readouterr().out
    assert (tmp_path / "o" / "export" / "mimi.safetensors").exists()
    assert train_mimi.main([*where, "--set", "bach=2"]) == 2
    assert "batch" in capsys.readouterr().err


# --- the data ---------------------------------------------------------------------------------------------------------


def test_clips_are_the_sounding_channels_at_24_khz_and_grow_in_place(tmp_path: Path) -> None:
    speech = sentences()[0]
    write_wav(tmp_path / "d" / "a.wav", np.stack([speech, np.zeros_like(speech)], axis=1))
    write_wav(tmp_path / "d" / "b.wav", speech[::3], hz=8000)
    first = open_clips(tmp_path / "d", tmp_path / "c")
    frames = -(-len(speech) // FRAME_SAMPLES)
    assert [end - begin for begin, end in first.spans] == [frames, frames]
    heard = first.pcm(np.arange(*first.spans[0])[None])[0]
    np.testing.assert_allclose(heard[: len(speech)], speech, atol=1e-4)
    write_wav(tmp_path / "d" / "0.wav", sentences()[1])
    with (tmp_path / "c" / "audio.i16").open("ab") as half:
        half.write(b"what a killed run left")
    grown = open_clips(tmp_path / "d", tmp_path / "c")
    assert grown.spans[:2] == first.spans
    assert len(grown.spans) == 3
    np.testing.assert_array_equal(
        grown.pcm(np.arange(*first.spans[1])[None]), first.pcm(np.arange(*first.spans[1])[None])
    )
    assert set(grown.training) & set(grown.held_out) == set()
    write_wav(tmp_path / "d" / "0.wav", sentences()[2])
    with pytest.raises(NoClips, match="has changed"):
        open_clips(tmp_path / "d", tmp_path / "c")


def test_segments_stay_in_training_clips(data: Path, tmp_path: Path) -> None:
    clips = open_clips(data, tmp_path / "c")
    drawn = clips.draw(np.random.default_rng(0), 50, 40)
    allowed = {frame for i in clips.training for frame in range(*clips.spans[i])}
    assert set(drawn[drawn >= 0].tolist()) <= allowed
    assert (drawn < 0).any()  # 40 frames are longer than a clip
    assert not clips.pcm(drawn)[np.repeat(drawn < 0, FRAME_SAMPLES, axis=1)].any()


def test_a_folder_without_speech_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoClips, match=r"synth\.py"):
        open_clips(tmp_path, tmp_path / "c")


def test_the_teacher_is_asked_once(data: Path, tmp_path: Path) -> None:
    clips = open_clips(data, tmp_path / "c")
    asked: list[int] = []

    def teacher(pcm: np.ndarray) -> np.ndarray:
        asked.append(len(pcm) // FRAME_SAMPLES)
        return levels_teacher(pcm)

    lessons = open_lessons(clips, tmp_path / "c", teacher)
    assert asked == [end - begin for begin, end in clips.spans]
    with (tmp_path / "c" / "teacher.f16").open("r+b") as file:
        file.truncate(clips.spans[1][1] * DIM * 2 + 100)  # killed in the third clip
    again = open_lessons(clips, tmp_path / "c", teacher)
    assert asked[3:] == asked[2:3]
    numbers = np.array([[0, 5, clips.spans[2][0], -1]])
    np.testing.assert_array_equal(again.of(numbers), lessons.of(numbers))
    assert not lessons.of(numbers)[0, 3].any()


def test_whisper_says_the_same_of_a_clip_in_one_window_or_two() -> None:
    if not locate("whisper-tiny.en").folder:
        pytest.skip("no whisper here")
    teacher = Whisper()
    pcm = np.concatenate([*sentences(), *sentences()])
    pcm = np.tile(pcm, 3)[: 140 * FRAME_SAMPLES]  # 11.2 s: two windows
    long = teacher(pcm)
    assert long.shape == (140, DIM)
    short = teacher(pcm[: 100 * FRAME_SAMPLES])
    cosine = np.sum(long[:90] * short[:90], 1) / np.linalg.norm(long[:90], axis=1) / np.linalg.norm(short[:90], axis=1)
    assert cosine.mean() > 0.9


def test_noise_and_level_change_the_input_alone() -> None:
    rng = np.random.default_rng(0)
    clean = np.tile(sentences()[0][None, : 8 * FRAME_SAMPLES], (50, 1))
    heard = augmented(clean, Augment(share=0.5, gain_db=6, snr_db=(20, 20)), rng)
    touched = (heard != clean).any(axis=1)
    assert 10 < touched.sum() < 40
    gain = np.sum(heard * clean, axis=1) / np.sum(clean * clean, axis=1)
    assert (np.abs(20 * np.log10(gain)) < 7).all()
    snr = 20 * np.log10(clean.std(axis=1) / (heard / gain[:, None] - clean)[touched].std(axis=1).mean())
    np.testing.assert_allclose(snr, 20, atol=1)


@pytest.mark.parametrize("slope", [0, 1, 2])
def test_noise_has_its_colour(slope: int) -> None:
    noise = coloured(np.random.default_rng(0), 2**15, slope)
    power = np.square(np.abs(np.fft.rfft(noise)))
    octaves = [power[2**k : 2 ** (k + 1)].mean() for k in (9, 12)]
    assert np.log2(octaves[0] / octaves[1]) == pytest.approx(3 * slope, abs=0.5)


# --- the losses -------------------------------------------------------------------------------------------------------


def test_mel_distance_is_nothing_for_equals_and_grows_with_noise() -> None:
    speech = torch.from_numpy(sentences()[0][None, : 16 * FRAME_SAMPLES]).requires_grad_()
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


def test_types_of_the_data() -> None:
    """A Clips can be made by hand: what later trainers rely on."""
    audio = np.zeros((4, FRAME_SAMPLES), np.int16)
    clips = Clips(audio, ((0, 2), (2, 4)), np.array([0, 1]), (0,), (1,))
    assert clips.held_out_segments(1, 2).tolist() == [[2, 3]]
    assert Lessons(np.ones((4, DIM), np.float16)).of(np.array([[0]])).shape == (1, 1, DIM)
