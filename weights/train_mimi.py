"""Train Mimi, the codec, from a folder of speech:

    python -m weights.train_mimi --data DIR --out DIR --minutes 60

Goes on where the last run into the same folder stopped. `OUT/export/` always holds the last checkpoint as the stock
loader wants it. Settings beyond the flags: `--settings FILE.toml`, `--set KEY=VALUE` (the fields of `Settings`).
The loss is mel distance + waveform + commitment + semantic distillation; `--adversarial-after N` adds discriminators.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from duplex.config import ConfigError, from_dict, from_flags, read_toml
from weights import run
from weights.clips import Clips, NoClips, open_clips
from weights.codec import build, reconstruct, set_step
from weights.losses import Critics, MelDistance, critic_loss, deception_loss, matching_loss
from weights.teacher import DIM, Lessons, Whisper, open_lessons

_CONFIG = Path(__file__).with_name("mimi_config.json")


@dataclass(frozen=True)
class Augment:
    """Of the input alone, the target stays clean: a codec that takes the noise off the user."""

    share: float = 0.0  # of the segments
    gain_db: float = 6.0  # either way
    snr_db: tuple[float, ...] = (0.0, 40.0)  # from, to


@dataclass(frozen=True)
class Settings:
    batch: int = 6  # segments
    frames: int = 32  # of 80 ms a segment; no less than the transformers' context, or they never learn to use it
    rate: float = 1e-3
    warm_up: int = 100  # steps
    decay_from: int | None = None  # step from which the rate falls to a tenth, for the last part of the training
    decay_steps: int = 3000
    quantise_from: int = 1200  # step; before it the latents go straight through
    adversarial_after: int | None = None  # step
    waveform: float = 1.0  # weights of the losses; mel has 1
    commitment: float = 1.0
    semantic: float = 1.0  # 0: no teacher is asked
    deception: float = 0.1
    matching: float = 0.5
    augment: Augment = field(default_factory=Augment)
    pace: run.Pace = field(default_factory=run.Pace)
    seed: int = 0
    device: str = "cpu"
    threads: int = 2  # of torch on a CPU; 1 where other work wants the cores

    def __post_init__(self) -> None:
        if self.decay_from is not None and self.decay_steps < 1:
            raise ValueError("decay_steps must be at least 1")
        if len(self.augment.snr_db) != 2:
            raise ValueError("augment.snr_db is two numbers, from and to")


class MimiTrainee:
    """The codec, its optimiser, and what teaches it. See run.Trainee."""

    def __init__(self, config: Mapping[str, Any], settings: Settings, clips: Clips, lessons: Lessons | None) -> None:
        self._settings, self._clips, self._lessons = settings, clips, lessons
        self.mimi = build(config, settings.seed).to(settings.device)
        self._reading = nn.Linear(config["seanet"]["dimension"], DIM).to(settings.device)  # first codebook -> teacher
        self._mel = MelDistance().to(settings.device)
        self._optimiser = _adam([*self.mimi.parameters(), *self._reading.parameters()])
        self._critics = Critics().to(settings.device) if settings.adversarial_after is not None else None
        self._critics_optimiser = _adam(self._critics.parameters()) if self._critics else None

    def step(self, n: int) -> dict[str, float]:
        rng = run.step_rng(self._settings.seed, n)
        numbers = self._clips.draw(rng, self._settings.batch, self._settings.frames)
        clean = self._clips.pcm(numbers)
        target = self._tensor(clean)
        self.mimi.train()
        set_step(self.mimi, n)
        made = reconstruct(self.mimi, self._tensor(augmented(clean, self._settings.augment, rng)), self._quantises(n))
        losses = self._losses(made, target, numbers)
        total = self._weighted(losses)
        if self._critics and n >= (self._settings.adversarial_after or 0):
            losses["critics"] = self._improve_critics(made.audio.detach(), target, n)
            real, fake = self._critics(target), self._critics(made.audio)
            losses |= {"deception": deception_loss(fake), "matching": matching_loss(real, fake)}
            total = self._weighted({name: loss for name, loss in losses.items() if name != "critics"})
        norm = _descend(self._optimiser, total, rate(self._settings, n))
        return {"loss": total.item(), "norm": norm} | {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def evaluate(self) -> run.Numbers:
        """Mel distance and (1 - cosine) on held-out clips, and per codebook the share of codes used and perplexity."""
        self.mimi.eval()
        numbers = self._clips.held_out_segments(count=16, frames=48)
        pcm = self._tensor(self._clips.pcm(numbers))
        quantizer: Any = self.mimi.quantizer
        made = reconstruct(self.mimi, pcm, bool(quantizer.rvq_first.vq.layers[0].initialized))
        losses = self._losses(made, pcm, numbers)
        found = {f"held_out_{name}": round(losses[name].item(), 5) for name in ("mel", "semantic") if name in losses}
        if made.codes is None:
            return found
        used, perplexity = zip(*(usage(level, self.mimi.cardinality) for level in made.codes.unbind(1)), strict=True)
        return found | {"used": list(used), "perplexity": list(perplexity)}

    def parts(self) -> dict[str, run.Tensors]:
        parts: dict[str, run.Tensors] = {
            "mimi": self.mimi.state_dict(),
            "reading": self._reading.state_dict(),
            "optimiser": run.optimiser_tensors(self._optimiser),
        }
        if self._critics and self._critics_optimiser:
            parts["critics"] = self._critics.state_dict()
            parts["critics_optimiser"] = run.optimiser_tensors(self._critics_optimiser)
        return parts

    def restore(self, parts: Mapping[str, run.Tensors]) -> None:
        """Raises ValueError when the checkpoint is another model's. Discriminators it lacks begin anew."""
        try:
            self.mimi.load_state_dict(parts["mimi"])
            self._reading.load_state_dict(parts["reading"])
        except RuntimeError as error:
            raise ValueError(f"the checkpoint is of another mimi_config; train into another folder: {error}") from None
        run.restore_optimiser(self._optimiser, parts["optimiser"])
        if self._critics and self._critics_optimiser and "critics" in parts:
            self._critics.load_state_dict(parts["critics"])
            run.restore_optimiser(self._critics_optimiser, parts["critics_optimiser"])

    def _quantises(self, n: int) -> bool:
        return n >= self._settings.quantise_from

    def _losses(self, made: Any, target: torch.Tensor, numbers: np.ndarray) -> dict[str, torch.Tensor]:
        losses = {"mel": self._mel(made.audio, target), "waveform": F.l1_loss(made.audio, target)}
        if made.codes is not None:
            losses["commitment"] = made.commitment
        if self._lessons is not None:
            lesson, spoken = self._tensor(self._lessons.of(numbers)), self._tensor(numbers >= 0)
            cosine = F.cosine_similarity(self._reading(made.semantic.transpose(1, 2)), lesson, dim=-1)  # [B, T]
            losses["semantic"] = ((1 - cosine) * spoken).sum() / spoken.sum()
        return losses

    def _weighted(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        weights = {"mel": 1.0} | {k: v for k, v in vars(self._settings).items() if k in losses}
        return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()

    def _improve_critics(self, fake: torch.Tensor, real: torch.Tensor, n: int) -> torch.Tensor:
        assert self._critics and self._critics_optimiser
        loss = critic_loss(self._critics(real), self._critics(fake))
        _descend(self._critics_optimiser, loss, rate(self._settings, n) / 3)
        return loss.detach()

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._settings.device)


def augmented(pcm: np.ndarray, how: Augment, rng: np.random.Generator) -> np.ndarray:
    """float32 [B, n] -> the same segments, some at another level and with coloured noise."""
    out = pcm.copy()
    for row in np.flatnonzero(rng.random(len(pcm)) < how.share):
        noise = coloured(rng, pcm.shape[1], slope=float(rng.uniform(0, 2)))
        loudness = max(float(pcm[row].std()), 1e-3)  # even silence gets some
        row_noise = noise * loudness * 10 ** (-rng.uniform(how.snr_db[0], how.snr_db[1]) / 20)
        out[row] = (pcm[row] + row_noise) * 10 ** (rng.uniform(-how.gain_db, how.gain_db) / 20)
    return out


def coloured(rng: np.random.Generator, samples: int, slope: float) -> np.ndarray:
    """Noise of deviation 1 whose power falls with frequency to the power of `slope`: 0 is white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.maximum(np.arange(len(spectrum)), samples // 480) ** (slope / 2)  # flat below 50 Hz
    noise = np.fft.irfft(spectrum, samples)
    return (noise / noise.std()).astype(np.float32)


def rate(settings: Settings, n: int) -> float:
    """The learning rate of step n: up, level, and where asked for down to a tenth along a cosine."""
    up = min(1.0, (n + 1) / max(1, settings.warm_up))
    if settings.decay_from is None:
        return settings.rate * up
    through = min(1.0, max(0.0, (n - settings.decay_from) / settings.decay_steps))
    return settings.rate * up * (0.1 + 0.9 * (1 + math.cos(math.pi * through)) / 2)


def usage(codes: torch.Tensor, bins: int) -> tuple[float, float]:
    """Codes of one level -> share of the bins that occur, and perplexity (as if so many occurred equally often)."""
    counts = torch.bincount(codes.flatten().cpu(), minlength=bins).double()
    p = counts[counts > 0] / counts.sum()
    return round(len(p) / bins, 3), round(float((-(p * p.log()).sum()).exp()), 1)


def export(out: Path, config: Mapping[str, Any]) -> Path:
    """The last checkpoint of `out` as `out/export/{mimi.safetensors, mimi_config.json}`, for the stock loader.

    Raises FileNotFoundError when there is no checkpoint.
    """
    if (found := run.load(out)) is None:
        raise FileNotFoundError(f"{out} holds no checkpoint yet")
    folder = out / "export"
    folder.mkdir(exist_ok=True)
    save_file(dict(found[1]["mimi"]), folder / "mimi.safetensors")
    (folder / "mimi_config.json").write_text(json.dumps(config, indent=1) + "\n")
    return folder


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, betas=(0.8, 0.99), weight_decay=1e-2)


def _descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> float:
    """One update. Returns the gradient's norm, before it is cut to 1."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
    optimiser.step()
    return float(norm)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weights.train_mimi", description="Train Mimi from speech.")
    parser.add_argument("--data", type=Path, required=True, help="folder of WAVs or Recordings")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, curve and export")
    parser.add_argument("--cache", type=Path, help="what was computed once per clip; default: OUT/cache")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="mimi_config.json; default: %(default)s")
    parser.add_argument("--minutes", type=float, help="default: 60")
    parser.add_argument("--adversarial-after", type=int, metavar="STEP", help="default: never")
    parser.add_argument("--settings", type=Path, help="TOML file with the fields of Settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as augment.share=0.5")
    try:
        return _train(parser.parse_args(argv))
    except (ConfigError, NoClips, ValueError, run.NotFinite) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _train(args: argparse.Namespace) -> int:
    settings, config = _settings(args), json.loads(args.config.read_text())
    torch.set_num_threads(settings.threads)
    cache = args.cache or args.out / "cache"
    clips = open_clips(args.data, cache)
    lessons = open_lessons(clips, cache, Whisper(settings.threads)) if settings.semantic else None
    trainee = MimiTrainee(config, settings, clips, lessons)
    run.go(trainee, args.out, settings.pace, say=_say)
    _say(f"exported to {export(args.out, config)}")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    settings = from_dict(Settings, _merged(read_toml(args.settings) if args.settings else {}, from_flags(args.set)))
    if args.adversarial_after is not None:
        settings = dataclasses.replace(settings, adversarial_after=args.adversarial_after)
    if args.minutes is not None:
        settings = dataclasses.replace(settings, pace=dataclasses.replace(settings.pace, minutes=args.minutes))
    return settings


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    tables = {k: _merged(below[k], v) for k, v in above.items() if isinstance(v, dict) and k in below}
    return {**below, **above, **tables}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
