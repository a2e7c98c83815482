"""What the Moshi LM is trained on: its text, its voice, and reading the user. T positions of B segments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from moshi.models.lm import LMModel
from torch import nn
from torch.nn import functional as F

from duplex.engine.text import END_OF_PAD, PAD
from weights.lm import speak
from weights.losses import word_loss

_IGNORED = -100


@dataclass(frozen=True)
class Weights:
    """Of the losses."""

    text: float = 1.0
    audio: float = 1.0
    words: float = 0.5  # reading the user; 0: no such head
    end_of_pad: float = 0.6  # a token's weight in the text loss, where a piece has 1
    pad: float = 0.3
    first_codebook: float = 3.0  # where the others have 1
    no_word: float = 0.05  # of a frame in which no word of the user's ends
    overdue: int = 8  # most that a tick counts for those before it, in which the agent put off what it does now
    late_reply: float = 4.0  # as often again where that is to begin a reply: in doubt it shall answer
    late_stop: float = 1.0  # or where that is to stop: the less, the more of what it hears it takes for a backchannel


def text_losses(
    lm: LMModel,
    heard: torch.Tensor,
    target: torch.Tensor,
    replies: torch.Tensor,
    times: torch.Tensor,
    weights: Weights,
) -> dict[str, torch.Tensor]:
    """heard [B, T, dim]; target [B, T], -1 for none; `replies` [B, T] marks the ticks in which a reply begins; `times`
    [B, T] is how often a tick counts."""
    logits = lm.text_linear(heard).float()
    loss = F.cross_entropy(logits.flatten(0, 1), _or_ignored(target).flatten(), reduction="none")
    weight = torch.where(target == PAD, weights.pad, torch.where(target == END_OF_PAD, weights.end_of_pad, 1.0))
    late = torch.where(target == END_OF_PAD, weights.late_reply, weights.late_stop)
    weight = (weight * torch.where(times > 1, late, 1.0) * times * (target >= 0)).flatten()
    right = logits.argmax(-1) == target
    spoken = (target >= 0) & (target != PAD) & (target != END_OF_PAD)
    return {
        "text": (loss * weight).sum() / weight.sum().clamp(min=1e-6),
        "text_right": _share(right, spoken),
        "reply_right": _share(right, spoken & replies),
    }


def audio_losses(
    lm: LMModel,
    heard: torch.Tensor,
    said: torch.Tensor,
    loud: torch.Tensor,
    chosen: torch.Tensor,
    times: torch.Tensor,
    weights: Weights,
) -> dict[str, torch.Tensor]:
    """heard [B, T, dim]; said [B, 1 + dep_q, T]; in the `chosen` positions of [B, T], each `times` as often, a late
    stop `weights.late_stop` as often again. `loud` is where it speaks."""
    rows = said.transpose(1, 2)[chosen]  # [N, 1 + dep_q]
    logits = speak(lm, heard[chosen], rows[:, :-1]).float()  # [N, dep_q, card]
    target = rows[:, 1:].masked_fill(rows[:, 1:] == lm.initial_token_id, _IGNORED)  # before a session's tick 1
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", ignore_index=_IGNORED)
    often = times[chosen]
    late_stop = (often > 1) & (rows[:, 0] != END_OF_PAD)
    counts = (target >= 0) * (often * torch.where(late_stop, weights.late_stop, 1.0))[:, None]  # [N, dep_q]
    each = (loss.view_as(target) * counts).sum(0) / counts.sum(0).clamp(min=1)  # [dep_q]
    weight = torch.ones_like(each)
    weight[0] = weights.first_codebook
    right = (logits.argmax(-1) == target)[:, 0]
    named = {f"code{k + 1}": each[k].detach() for k in range(len(each))}
    return {"audio": (each * weight).sum() / weight.sum(), "code1_right": _share(right, loud[chosen])} | named


def word_losses(
    reading: nn.Module, heard: torch.Tensor, words: torch.Tensor, weights: Weights
) -> dict[str, torch.Tensor]:
    """words [B, T]: of the user's, the one that ended in the frame before. Position t + 1 has heard all of that."""
    logits, target = reading(heard[:, 1:]).float(), words[:, :-1]
    right = logits.argmax(-1) == target
    return {"words": word_loss(logits, target, weights.no_word), "words_right": _share(right, target > 0)}


def _or_ignored(target: torch.Tensor) -> torch.Tensor:
    return target.masked_fill(target < 0, _IGNORED)


def _share(right: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    """0 among none"""
    return (right & among).sum() / among.sum().clamp(min=1)
