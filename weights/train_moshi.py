"""Train the Moshi LM on dialogues as tokens (`weights/tokens.py` makes them):

    python -m weights.train_moshi --data DIR --held-out DIR --mimi DIR --out DIR --minutes 120

Goes on where the last run into the same folder stopped. `--mimi` begins a new LM with that codec's own vectors as its
audio embeddings. `--init` starts from existing weights of Moshi's format instead
of random ones. `OUT/export/` always holds the newest checkpoint, averaged over the last steps, for the stock loader.
Settings beyond the flags: `--settings FILE.toml`, `--set KEY=VALUE` (the fields of `Settings`).
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from moshi.models.lm import LMModel
from safetensors.torch import save_file
from torch import nn

from duplex.config import ConfigError
from weights import run
from weights.descent import cosine, descend, follow
from weights.disturb import Disturb, disturbed
from weights.ear import open_mimi
from weights.flags import add_flags, say, settings_of
from weights.lm import begin_with_codebooks, build, delayed, listen, load
from weights.lm_losses import Weights, audio_losses, text_losses, word_losses
from weights.shards import Batch, Format, NoTokens, TokenData

_CONFIG = Path(__file__).with_name("moshi_config.json")


@dataclass(frozen=True)
class Settings:
    batch: int = 4  # segments
    ticks: int = 375  # a segment; 30 s
    rate: float = 1e-3
    warm_up: int = 100  # steps
    decay_steps: int = 6000  # after so many the rate has fallen along a cosine to `last_rate`, and stays there
    last_rate: float = 0.05  # of `rate`
    weight_decay: float = 0.05
    reading_alone: int = 0  # steps in which reading the user teaches its head only: new, it disturbs a good --init
    loud_share: float = 0.5  # of the frames in which the agent speaks: their audio is trained on, drawn anew each step
    silent_share: float = 0.1  # and of the others
    average: float = 0.998  # of the running average of the weights that is exported; 0: the weights themselves
    disturb: Disturb = field(default_factory=Disturb)
    weights: Weights = field(default_factory=Weights)
    pace: run.Pace = field(default_factory=lambda: run.Pace(evaluate_every=200))
    held_out: int = 24  # segments
    seed: int = 0
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the weights while they are trained
    products: Literal["float32", "bfloat16"] = "bfloat16"  # of matrices, where the weights are float32
    file_dtype: Literal["float32", "float16", "bfloat16"] = "float32"  # of the export
    threads: int = 2  # of torch on a CPU

    def __post_init__(self) -> None:
        if self.decay_steps < 1 or not 0 <= self.average < 1:
            raise ValueError("decay_steps must be at least 1, average from 0 to below 1")


class MoshiTrainee:
    """The LM, its average, the head that reads the user, and the optimiser. See run.Trainee."""

    def __init__(self, lm: LMModel, settings: Settings, data: TokenData, held_out: TokenData | None = None) -> None:
        """Raises ValueError when the tokens are not this LM's."""
        _check(lm, data.format)
        if held_out and (held_out.format, held_out.words) != (data.format, data.words):
            raise ValueError("the held-out tokens are of another codec, tokenizer or list of words; make them again")
        self._settings, self._data, self._held_out = settings, data, held_out
        self.lm = lm.to(settings.device)
        self.average = copy.deepcopy(self.lm).requires_grad_(False) if settings.average else self.lm
        torch.manual_seed(settings.seed)
        self._reading = nn.Linear(lm.dim, len(data.words)).to(self.lm.device, self.lm.dtype)
        self._silence = torch.tensor(data.format.silence, device=self.lm.device)
        self._optimiser = _adam([self.lm, self._reading], settings.weight_decay)

    def step(self, n: int) -> dict[str, float]:
        rng = run.step_rng(self._settings.seed, n)
        batch = self._data.draw(rng, self._settings.batch, self._settings.ticks)
        self.lm.train()
        given = disturbed(batch.codes, self._settings.disturb, self.lm, rng)
        losses = self._losses(self.lm, batch, given, rng, alone=n < self._settings.reading_alone)
        total = losses.pop("total")
        norm = descend(self._optimiser, total, rate(self._settings, n))
        follow(self.average, self.lm, n, self._settings.average)
        return {"loss": total.item(), "norm": norm} | {name: value.item() for name, value in losses.items()}

    @torch.no_grad()
    def evaluate(self) -> run.Numbers:
        """Of the averaged weights on undisturbed held-out dialogues; {} where there are none."""
        if self._held_out is None:
            return {}
        self.average.eval()
        sums: dict[str, list[float]] = {}
        batch = self._held_out.first(self._settings.held_out, self._settings.ticks)
        for rows in np.array_split(np.arange(len(batch.codes)), -(-len(batch.codes) // self._settings.batch)):
            part = Batch(**{name: array[rows] for name, array in vars(batch).items()})
            losses = self._losses(self.average, part, part.codes, np.random.default_rng(0))
            for name, value in losses.items():
                sums.setdefault(f"held_out_{name}", []).append(value.item())
        return {name: round(float(np.mean(values)), 4) for name, values in sums.items()}

    def parts(self) -> dict[str, run.Tensors]:
        parts: dict[str, run.Tensors] = {
            "model": self.lm.state_dict(),
            "reading": self._reading.state_dict(),
            "optimiser": run.optimiser_tensors(self._optimiser),
        }
        return parts | ({"average": self.average.state_dict()} if self.average is not self.lm else {})

    def restore(self, parts: Mapping[str, run.Tensors]) -> None:
        """Raises ValueError when the checkpoint is another model's."""
        try:
            self.lm.load_state_dict(parts["model"])
            self._reading.load_state_dict(parts["reading"])
            if self.average is not self.lm:
                self.average.load_state_dict(parts.get("average", parts["model"]))
        except RuntimeError as error:
            raise ValueError(f"the checkpoint is of another config; train into another folder: {error}") from None
        run.restore_optimiser(self._optimiser, parts["optimiser"])

    def _losses(
        self, lm: LMModel, batch: Batch, given: np.ndarray, rng: np.random.Generator, alone: bool = False
    ) -> dict[str, torch.Tensor]:
        """`given` is what goes in, like batch.codes, which are the targets. "total" is differentiable; reading the user
        teaches the LM nothing where its head learns `alone`."""
        codes, words, weights = self._tensor(batch.codes), self._tensor(batch.words), self._settings.weights
        said = delayed(lm, codes)[:, : 1 + lm.dep_q, 1:]  # [B, 1 + dep_q, T], what is predicted in each position
        said[:, 0].masked_fill_(self._tensor(batch.late), -1)
        loud = (said[:, 1:] != self._silence[:, None]).any(1)  # [B, T]
        share = torch.where(loud, self._settings.loud_share, self._settings.silent_share)
        overdue = self._tensor(batch.overdue).clamp(max=weights.overdue)
        chosen = (self._tensor(rng.random(loud.shape)) < share) | (overdue > 0)
        faster = self._settings.products == "bfloat16" and self.lm.dtype == torch.float32
        with torch.autocast(self.lm.device.type, torch.bfloat16, enabled=faster):
            heard = listen(lm, delayed(lm, self._tensor(given))[:, :, :-1])  # [B, T, dim]
            losses = text_losses(lm, heard, said[:, 0], self._tensor(batch.replies), 1 + overdue, weights)
            losses |= audio_losses(lm, heard, said, loud, chosen & (said[:, 0] >= 0), 1 + overdue, weights)
            known = heard.detach() if alone else heard
            losses |= word_losses(self._reading, known, words, weights) if weights.words else {}
        named = {"text": weights.text, "audio": weights.audio, "words": weights.words}
        total = torch.stack([weight * losses[name] for name, weight in named.items() if name in losses]).sum()
        return losses | {"total": total}

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.lm.device)


def rate(settings: Settings, n: int) -> float:
    """The learning rate of step n: up, then down along a cosine."""
    up = min(1.0, (n + 1) / max(1, settings.warm_up))
    return settings.rate * up * cosine(n / settings.decay_steps, settings.last_rate)


def export(out: Path, config: Mapping[str, Any], dtype: str = "float32") -> Path:
    """The newest checkpoint of `out` as `out/export/{model.safetensors, config.json}`, for the stock loader.

    Raises FileNotFoundError when there is no checkpoint.
    """
    if (found := run.load(out)) is None:
        raise FileNotFoundError(f"{out} holds no checkpoint yet")
    folder = out / "export"
    folder.mkdir(exist_ok=True)
    weights = found[1].get("average", found[1]["model"])
    part = folder / ".model.safetensors"
    save_file({name: tensor.to(getattr(torch, dtype)) for name, tensor in weights.items()}, part)
    part.replace(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return folder


def _check(lm: LMModel, form: Format) -> None:
    if lm.dep_q != form.codebooks or lm.n_q != 2 * form.codebooks:
        raise ValueError(f"the LM has n_q {lm.n_q} and dep_q {lm.dep_q}, the tokens {form.codebooks} codebooks a side")


def _adam(modules: list[nn.Module], weight_decay: float) -> torch.optim.Optimizer:
    """Vectors, which are norms and biases, do not decay."""
    parameters = [p for module in modules for p in module.parameters()]
    wide = [p for p in parameters if p.squeeze().dim() > 1]
    narrow = [p for p in parameters if p.squeeze().dim() <= 1]
    groups = [{"params": wide, "weight_decay": weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.95), fused=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weights.train_moshi", description="Train the Moshi LM.")
    parser.add_argument("--data", required=True, help="folder of tokens, or several, apart by commas")
    parser.add_argument("--held-out", help="tokens to be judged on")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, curve and export")
    parser.add_argument(
        "--init", type=Path, help="weights to start from, or a folder of model.safetensors, config.json"
    )
    parser.add_argument("--mimi", type=Path, help="folder of mimi.safetensors, mimi_config.json that made the tokens")
    parser.add_argument(
        "--config", type=Path, help="config.json; default: that of --init, or weights/moshi_config.json"
    )
    parser.add_argument("--device", help="default: cpu")
    add_flags(parser)
    try:
        return _train(parser.parse_args(argv))
    except (ConfigError, NoTokens, ValueError, RuntimeError, OSError, run.NotFinite) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _train(args: argparse.Namespace) -> int:
    settings, config = settings_of(Settings, args, device=args.device), json.loads(_config(args).read_text())
    torch.set_num_threads(settings.threads)
    data = _tokens(args.data)
    held_out = _tokens(args.held_out) if args.held_out else None
    trainee = MoshiTrainee(_lm(args, config, settings), settings, data, held_out)
    say(f"{sum(p.numel() for p in trainee.lm.parameters()):,} weights, {data.frames / 750:,.0f} minutes of dialogues")
    run.go(
        trainee,
        args.out,
        settings.pace,
        say,
        lambda: export(args.out, config, settings.file_dtype),
        stop=run.stopped_by_signals(),
    )
    return 0


def _lm(args: argparse.Namespace, config: Mapping[str, Any], settings: Settings) -> LMModel:
    if args.init is None:
        lm = build(config, settings.seed)
        if args.mimi:
            begin_with_codebooks(lm, open_mimi(args.mimi, lm.dep_q), settings.seed)
        return lm.to(getattr(torch, settings.dtype))
    weights = args.init / config.get("moshi_name", "model.safetensors") if args.init.is_dir() else args.init
    return load(config, weights, getattr(torch, settings.dtype))


def _config(args: argparse.Namespace) -> Path:
    if args.config:
        return args.config
    if args.init is None:
        return _CONFIG
    return (args.init if args.init.is_dir() else args.init.parent) / "config.json"


def _tokens(folders: str) -> TokenData:
    return TokenData([Path(folder) for folder in folders.split(",")])


if __name__ == "__main__":
    sys.exit(main())
