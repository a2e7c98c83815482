"""Who says what when: `plan(seed)` -> Dialogue, its scenes drawn by their shares (`weights.scenes`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from weights.air import Channel
from weights.dialogue import Dialogue
from weights.intents import Split
from weights.scenes import GREETING, MORE, PLAYED, QUIET, SCENES, Draft
from weights.voices import DEFAULT, WHISPERED, varied, voices

SILENT_SHARE = 0.05  # of dialogues: asides, background, noise and silence only
WHISPER_SHARE, ROOM_SHARE, TELEPHONE_SHARE = 0.02, 0.4, 0.15  # of dialogues
# Of dialogues in training: questions with short answers only; long replies only; users who are not done yet only.
DRILLS: dict[tuple[str, ...], float] = {
    ("answer",): 0.4,
    ("interrupt", "backchannel"): 0.3,
    ("pause", "listening"): 0.1,
}
WORST_SNR_DB, BEST_SNR_DB = 5.0, 40.0  # the better the likelier: one in fifty is below 10 dB, where whisper fails too
LEVEL_DB = (-12.0, 6.0)


def plan(
    seed: int,
    split: Split = "train",
    seconds: float = 45.0,
    greeting: float = 0.0,
    engines: Iterable[str] = DEFAULT,
) -> Dialogue:
    """A dialogue of roughly `seconds`. `greeting` is the share of dialogues that the agent opens by itself.

    Raises what `weights.voices.voices` raises for its `engines`.
    """
    rng = Random(f"{split} {seed}")
    draft = Draft(rng, split)
    voice, other = rng.sample(voices(split, engines), 2)
    if voice.engine == "hibari" and rng.random() < WHISPER_SHARE:  # the others cannot
        voice = replace(voice, pitch=WHISPERED)
    if split == "train":
        voice, other = varied(voice, rng.uniform), varied(other, rng.uniform)
    channel = _channel(rng)
    quiet = rng.random() < SILENT_SHARE
    if rng.random() < greeting:
        draft.add("agent", "greeting", GREETING, gap_ms=500)
    more = MORE if split == "train" else {}
    shares = {name: share * more.get(name, 1.0) for name, share in SCENES.items() if not quiet or name in QUIET}
    if split == "train" and not quiet and (drill := _drawn(rng, DRILLS)):
        draft.drill, shares = drill == ("answer",), {name: more.get(name, 1.0) for name in drill}
    while draft.seconds < seconds:
        draft.scene = rng.choices(list(shares), list(shares.values()))[0]
        PLAYED[draft.scene](draft)
    rest_ms = round(draft.idle_ms) + rng.randint(1500, 3000)
    return Dialogue(seed, split, voice, other, channel, tuple(draft.lines), rest_ms)


def _drawn(rng: Random, shares: dict[tuple[str, ...], float]) -> tuple[str, ...]:
    """One of the keys, by its share; () for what is left of 1."""
    return rng.choices([*shares, ()], [*shares.values(), 1 - sum(shares.values())])[0]


def _channel(rng: Random) -> Channel:
    return Channel(
        level_db=round(rng.uniform(*LEVEL_DB), 1),
        snr_db=round(rng.triangular(WORST_SNR_DB, BEST_SNR_DB, BEST_SNR_DB), 1),
        tilt=round(rng.random(), 2),
        room_ms=rng.randint(80, 400) if rng.random() < ROOM_SHARE else 0,
        telephone=rng.random() < TELEPHONE_SHARE,
    )
