"""How Mimi is trained: what `weights.train_mimi` can be told, and the learning rate that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from weights import run
from weights.descent import cosine


@dataclass(frozen=True)
class Settings:
    agents: int = 2  # segments of the agent in a batch
    users: int = 16  # segments of users
    decoded_users: int = 1  # of them are also decoded; the others only have their sounds named, at half the cost
    frames: int = 40  # of 80 ms a segment; no less than the transformers' context, or they never learn to use it
    rate: float = 1e-3
    warm_up: int = 100  # steps
    decay_from: int | None = None  # step from which the rate falls to a tenth, for the last part of the training
    decay_steps: int = 3000
    quantise_from: int = 800  # step; before it the latents go straight through
    freeze_from: int | None = None  # step from which encoder and codes stay as they are, and only the agent is decoded
    frozen_agents: int = 3  # segments in a batch from then on
    frozen_steps: int = 8000  # in which the rate falls to a tenth once more
    adversarial_after: int | None = None  # step
    average: float = 0.0  # of the running average of the weights that is judged and exported; 0: the weights themselves
    mel: float = 1.0  # weights of the losses: the agent's mel distance
    user_mel: float = 0.5  # and a user's, from the agent's voice
    waveform: float = 1.0
    commitment: float = 0.25
    semantic: float = 4.0  # naming the sounds from the first codebook
    phonetic: float = 2.0  # and from all of them
    early: float = 2.0  # and from what the encoder knows before its last stride
    words: float = 1.0  # naming the word that has ended, from all codebooks
    deception: float = 0.1
    matching: float = 0.5
    pace: run.Pace = field(default_factory=run.Pace)
    seed: int = 0
    device: str = "cpu"
    threads: int = 2  # of torch on a CPU; 1 where other work wants the cores, or where a resume must be exact

    def __post_init__(self) -> None:
        if min(self.decay_steps, self.frozen_steps) < 1:
            raise ValueError("decay_steps and frozen_steps must be at least 1")
        if not 0 <= self.average < 1:
            raise ValueError("average must be from 0 to below 1")
        if not 0 <= self.decoded_users <= self.users:
            raise ValueError(f"decoded_users must be from 0 to users, which is {self.users}")


def rate(settings: Settings, n: int) -> float:
    """The learning rate of step n: up, level, and where asked for down to a tenth along a cosine; again when frozen."""
    if settings.freeze_from is not None and n >= settings.freeze_from:
        return settings.rate * cosine((n - settings.freeze_from) / settings.frozen_steps, last=0.1)
    up = min(1.0, (n + 1) / max(1, settings.warm_up))
    if settings.decay_from is None:
        return settings.rate * up
    return settings.rate * up * cosine((n - settings.decay_from) / settings.decay_steps, last=0.1)
