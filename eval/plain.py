"""A stereo sound file that no session of ours recorded, as a Recording without ticks: two people, another system.

Left is judged as the user, right as the agent. Nothing is known about it by construction, so only what both channels
show is measured; and every recording, ours or not, is asked what about its sound makes its figures doubtful.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from pathlib import Path

import numpy as np
import sphn
from scipy.signal import resample_poly

from duplex.frame import SAMPLE_RATE
from duplex.recording import NotARecording, Recording

PLAIN = "plain"  # in the header of what is read here
CLIPPED_SHARE = 1e-4  # of a channel's samples at full scale, from which on it is said
_FULL_SCALE = 0.999


def recordings_in(folder: Path) -> list[Path]:
    """What can be judged in a folder, in order: ours by their .jsonl, and every .wav without one."""
    ours = set(folder.glob("*.jsonl"))
    return sorted(ours | {wav for wav in folder.glob("*.wav") if wav.with_suffix(".jsonl") not in ours})


def open_recording(path: Path) -> Recording:
    """Ours or a plain one, by its suffix. Raises NotARecording."""
    return Recording.open(path) if path.suffix == ".jsonl" else open_plain(path)


def open_plain(path: Path) -> Recording:
    """Any sound file with two channels, at any rate. Raises NotARecording for another, or one without a sample."""
    try:
        pcm, rate = sphn.read(str(path))  # float32 [channels, n]
    except (OSError, ValueError, RuntimeError) as error:
        raise NotARecording(f"{path}: not a sound file: {error}") from None
    if len(pcm) != 2:
        found = "one channel" if len(pcm) == 1 else f"{len(pcm)} channels"
        raise NotARecording(f"{path}: {found}; who says what is told from two, user left and agent right")
    if not pcm.shape[1]:
        raise NotARecording(f"{path}: holds no sound")
    user, agent = resampled(np.asarray(pcm, np.float32), rate)
    return Recording({PLAIN: True, "agent": path.parent.name, "sample_rate": rate}, user, agent, ())


def resampled(pcm: np.ndarray, rate: int) -> np.ndarray:
    """float32 [channels, n] at `rate` Hz -> the same at 24 kHz."""
    if rate == SAMPLE_RATE:
        return pcm
    common = gcd(rate, SAMPLE_RATE)
    return resample_poly(pcm, SAMPLE_RATE // common, rate // common, axis=1).astype(np.float32)


def doubts(recording: Recording, user_speaks: bool, agent_speaks: bool) -> Iterator[str]:
    """What a reader of this recording's figures should know."""
    for side, pcm in (("user", recording.user), ("agent", recording.agent)):
        share = float(np.mean(np.abs(pcm) >= _FULL_SCALE)) if len(pcm) else 0.0
        if share >= CLIPPED_SHARE:
            yield f"the {side}'s channel is clipped in {share:.2%} of its samples: edges are found, levels are not"
    rate = recording.meta.get("sample_rate", SAMPLE_RATE)
    if rate < SAMPLE_RATE:
        yield f"recorded at {rate} Hz: nothing above {rate / 2000:g} kHz is heard"
    if not user_speaks:
        yield "nobody speaks on the user's side"
    if not agent_speaks:
        yield "nobody speaks on the agent's side"
