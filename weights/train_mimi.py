"""Train Mimi, the codec, from a folder of speech:

    python -m weights.bank --out DIR --minutes 300; python -m weights.bank --out TEST --minutes 8 --split test
    python -m weights.train_mimi --data DIR --held-out TEST --out DIR --minutes 60

Goes on where the last run into the same folder stopped; `--init weights/nano` begins with weights that are already
trained (add `--set quantise_from=0`), and `--filters 16` makes their decoder wider first (`weights.widen`).
`OUT/export/` always holds the last checkpoint as the stock loader wants it. Settings beyond the flags:
`--settings FILE.toml`, `--set KEY=VALUE` (the fields of `weights.mimi_settings.Settings`).

It is a codec of one voice that understands many: whoever speaks and through whatever air, it shall hear the same words
at the same moments in the agent's own clean voice, and its first codebook shall tell which sounds they are. So the
tokens of two users who say the same are alike, which is what lets a small language model understand them. The loss is
mel distance + waveform + commitment + naming the sounds; `--set adversarial_after=N` adds discriminators.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from duplex.config import ConfigError
from weights import run
from weights.ahead import Ahead
from weights.bank import NoBank
from weights.codec import Pass, build, decode_frozen, early_channels, reconstruct, set_step, start_codebooks
from weights.descent import descend, follow
from weights.flags import add_flags, say, settings_of
from weights.hearing import Segments, Speech
from weights.losses import Critics, MelDistance, critic_loss, deception_loss, matching_loss, word_loss
from weights.mimi_settings import Settings, rate
from weights.phones import CLASSES, LATE_SLOTS, SLOTS
from weights.vocabulary import vocabulary
from weights.widen import widened

_CONFIG = Path(__file__).with_name("mimi_config.json")
_KMEANS_BATCHES = 8
_WORDS = len(vocabulary())
_NO_WORD = 0.05  # the weight of a frame in which no word ends


class MimiTrainee:
    """The codec, its optimiser, and what teaches it. See run.Trainee."""

    def __init__(self, config: Mapping[str, Any], settings: Settings, data: Speech, held_out: Speech) -> None:
        self._settings, self._data, self._held_out = settings, data, held_out
        self.mimi = build(config, settings.seed).to(settings.device)
        self.average = copy.deepcopy(self.mimi).requires_grad_(False) if settings.average else self.mimi
        dimension = config["seanet"]["dimension"]
        self._readers = nn.ModuleDict(
            {name: nn.Linear(dimension, SLOTS * CLASSES) for name in ("semantic", "phonetic")}
            | {"early": nn.Linear(early_channels(self.mimi), CLASSES), "words": nn.Linear(dimension, _WORDS)}
        ).to(settings.device)
        self._mel = MelDistance().to(settings.device)
        self._optimiser = _adam([*self.mimi.parameters(), *self._readers.parameters()])
        self._drawn = Ahead(self._draw)
        self._critics = Critics().to(settings.device) if settings.adversarial_after is not None else None
        self._critics_optimiser = _adam(self._critics.parameters()) if self._critics else None

    def step(self, n: int) -> dict[str, float]:
        run.step_rng(self._settings.seed, n)
        self.mimi.train()
        set_step(self.mimi, n)
        if n == self._settings.quantise_from and not self._quantised():
            self._begin_to_quantise(n)
        speech = self._drawn(n)
        losses = self._decoding_losses(speech) if self._frozen(n) else self._coding_losses(speech, n)
        weights = vars(self._settings)
        total = torch.stack([weights[name] * loss for name, loss in losses.items() if name in weights]).sum()
        norm = descend(self._optimiser, total, rate(self._settings, n))
        follow(self.average, self.mimi, n, self._settings.average)
        return {"loss": total.item(), "norm": norm} | {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def evaluate(self) -> run.Numbers:
        """On voices and sentences never trained on: how often the sound is named rightly (all, and all but silence),
        mel distance of the agent, and per codebook the share of codes used and perplexity."""
        self.average.eval()
        set_step(self.average, 0)  # its codebooks may have moved
        rng = np.random.default_rng(0)
        speech = self._held_out.draw(rng, agents=6, users=24, frames=48)
        made = reconstruct(self.average, self._tensor(speech.heard), self._quantised(), decoded=6)
        found: dict[str, Any] = {"test_mel": self._mel(made.audio, self._tensor(speech.meant[:6])).item()}
        for name, logits in self._named(made).items():
            right = (logits.argmax(-1).cpu().numpy() == speech.phones)[6:]
            found[f"test_{name}"] = float(right.mean())
            found[f"test_{name}_sounds"] = float(right[speech.phones[6:] > 0].mean())
        words = self._tensor(speech.words)[6:]
        read = self._readers["words"](made.latent.transpose(1, 2))[6:].argmax(-1)
        found["test_words"] = float((read == words)[words > 0].float().mean())
        found["test_no_word"] = float((read == words)[words == 0].float().mean())
        found = {name: round(value, 4) for name, value in found.items()}
        if made.codes is None:
            return found
        used, perplexity = zip(*(usage(level, self.mimi.cardinality) for level in made.codes.unbind(1)), strict=True)
        return found | {"used": list(used), "perplexity": list(perplexity)}

    def begin_with(self, mimi: run.Tensors) -> None:
        """Raises RuntimeError when the weights are of another mimi_config."""
        for codec in (self.mimi, self.average):
            codec.load_state_dict(mimi)

    def parts(self) -> dict[str, run.Tensors]:
        parts: dict[str, run.Tensors] = {
            "mimi": self.mimi.state_dict(),
            "readers": self._readers.state_dict(),
            "optimiser": run.optimiser_tensors(self._optimiser),
        }
        if self.average is not self.mimi:
            parts["average"] = self.average.state_dict()
        if self._critics and self._critics_optimiser:
            parts["critics"] = self._critics.state_dict()
            parts["critics_optimiser"] = run.optimiser_tensors(self._critics_optimiser)
        return parts

    def restore(self, parts: Mapping[str, run.Tensors]) -> None:
        """Raises ValueError when the checkpoint is another model's. Discriminators it lacks begin anew."""
        try:
            self.mimi.load_state_dict(parts["mimi"])
            if self.average is not self.mimi:
                self.average.load_state_dict(parts.get("average", parts["mimi"]))
            self._readers.load_state_dict(parts["readers"])
        except RuntimeError as error:
            raise ValueError(f"the checkpoint is of another mimi_config; train into another folder: {error}") from None
        run.restore_optimiser(self._optimiser, parts["optimiser"])
        if self._critics and self._critics_optimiser and "critics" in parts:
            self._critics.load_state_dict(parts["critics"])
            run.restore_optimiser(self._critics_optimiser, parts["critics_optimiser"])

    def _frozen(self, n: int) -> bool:
        return self._settings.freeze_from is not None and n >= self._settings.freeze_from

    def _quantised(self) -> bool:
        quantizer: Any = self.mimi.quantizer
        return bool(quantizer.rvq_first.vq.layers[0].initialized)

    @torch.no_grad()
    def _begin_to_quantise(self, n: int) -> None:
        """k-means finds the codebooks in far more frames than one batch has."""
        drawn = [self._draw(n + i) for i in range(_KMEANS_BATCHES)]
        start_codebooks(self.mimi, [self._tensor(speech.heard) for speech in drawn])

    def _coding_losses(self, speech: Segments, n: int) -> dict[str, torch.Tensor]:
        """Everything at once: what is meant from what is heard, in the agent's voice, and the name of every sound."""
        agents = self._settings.agents
        decoded = agents + self._settings.decoded_users
        made = reconstruct(self.mimi, self._tensor(speech.heard), n >= self._settings.quantise_from, decoded)
        meant, paired = self._tensor(speech.meant[:decoded]), self._tensor(speech.paired[:decoded])
        losses = {
            "mel": self._mel(made.audio[:agents], meant[:agents]),
            "waveform": F.l1_loss(made.audio[:agents], meant[:agents]),
        }
        if paired[agents:].any():
            users = agents + paired[agents:].nonzero()[:, 0]
            losses["user_mel"] = self._mel(made.audio[users], meant[users])
        phones = self._tensor(speech.phones).long()
        for name, logits in self._named(made).items():
            losses[name] = F.cross_entropy(logits.flatten(0, 2), phones.flatten())
        losses["early"] = self._early_loss(made, phones)
        read = self._readers["words"](made.latent.transpose(1, 2))  # [B, T, words]
        losses["words"] = word_loss(read, self._tensor(speech.words), _NO_WORD)
        if made.codes is not None:
            losses["commitment"] = made.commitment
        if self._critics and n >= (self._settings.adversarial_after or 0):
            losses |= self._criticised(made.audio[:agents], meant[:agents], n)
        return losses

    def _decoding_losses(self, speech: Segments) -> dict[str, torch.Tensor]:
        """The decoder alone, on the agent alone."""
        meant = self._tensor(speech.meant)
        made = decode_frozen(self.mimi, meant)
        losses = {"mel": self._mel(made, meant), "waveform": F.l1_loss(made, meant)}
        if self._critics:
            losses |= self._criticised(made, meant, self._settings.freeze_from or 0)
        return losses

    def _criticised(self, fake: torch.Tensor, real: torch.Tensor, n: int) -> dict[str, torch.Tensor]:
        """Improve the discriminators, then ask them."""
        assert self._critics and self._critics_optimiser
        loss = critic_loss(self._critics(real), self._critics(fake.detach()))
        descend(self._critics_optimiser, loss, rate(self._settings, n) / 3)
        seen, said = self._critics(real), self._critics(fake)
        return {"critics": loss.detach(), "deception": deception_loss(said), "matching": matching_loss(seen, said)}

    def _named(self, made: Pass) -> dict[str, torch.Tensor]:
        """Logits [B, T, SLOTS, CLASSES] from the first codebook, and from all."""
        passed = {"semantic": made.semantic, "phonetic": made.latent}
        return {
            name: self._readers[name](latent.transpose(1, 2)).unflatten(-1, (SLOTS, CLASSES))
            for name, latent in passed.items()
        }

    def _early_loss(self, made: Pass, phones: torch.Tensor) -> torch.Tensor:
        """Naming the sounds before the last stride, at the moment of the sound: that far down nobody looks back."""
        slots = phones.flatten(1)  # [B, T * SLOTS]
        features = F.adaptive_avg_pool1d(made.early, slots.shape[1])
        logits = self._readers["early"](features.transpose(1, 2)[:, : slots.shape[1] - LATE_SLOTS])
        return F.cross_entropy(logits.flatten(0, 1), slots[:, LATE_SLOTS:].flatten())

    def _draw(self, n: int) -> Segments:
        """For step n."""
        settings, rng = self._settings, np.random.default_rng((self._settings.seed, n))
        agents, users = (settings.frozen_agents, 0) if self._frozen(n) else (settings.agents, settings.users)
        return self._data.draw(rng, agents, users, settings.frames)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._settings.device)


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
    save_file(dict(found[1].get("average", found[1]["mimi"])), folder / "mimi.safetensors")
    (folder / "mimi_config.json").write_text(json.dumps(config, indent=1) + "\n")
    return folder


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, betas=(0.8, 0.99), weight_decay=1e-2, fused=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weights.train_mimi", description="Train Mimi from speech.")
    parser.add_argument("--data", type=Path, required=True, help="folder that weights.bank filled")
    parser.add_argument("--held-out", type=Path, help="the like with --split test; default: DATA")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, curve and export")
    parser.add_argument("--init", type=Path, help="folder of mimi.safetensors, mimi_config.json to start from")
    parser.add_argument("--filters", type=int, help="with --init: make it so wide first (`weights.widen`)")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="mimi_config.json; default: %(default)s")
    add_flags(parser)
    try:
        return _train(parser.parse_args(argv))
    except (ConfigError, NoBank, ValueError, run.NotFinite) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _train(args: argparse.Namespace) -> int:
    settings = settings_of(Settings, args)
    config = json.loads((args.init / "mimi_config.json" if args.init else args.config).read_text())
    torch.set_num_threads(settings.threads)
    data = Speech.open(args.data)
    held_out = Speech.open(args.held_out) if args.held_out else data
    begin = load_file(args.init / "mimi.safetensors") if args.init else None
    if args.filters and not begin:
        raise ConfigError("--filters widens a codec that is there; name its folder with --init")
    if begin and args.filters:
        config, begin = widened(config, begin, args.filters, settings.seed)
    trainee = MimiTrainee(config, settings, data, held_out)
    if begin:
        trainee.begin_with(begin)
    stop = run.stopped_by_signals()
    run.go(trainee, args.out, settings.pace, say, lambda: export(args.out, config), stop=stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
