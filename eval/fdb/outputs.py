"""A run's recordings as FDB's scorer wants them: SAMPLE/output.wav, of the length and rate of its input.wav.

What a recording's header calls its sample is checked before it becomes a path: nothing is written outside the folder.
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from math import gcd
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from duplex.config import ConfigError
from duplex.frame import SAMPLE_RATE
from duplex.recording import NotARecording, Recording
from eval.fdb.files import OUTPUT, BadSample
from eval.fdb.samples import Sample, sample_in
from eval.scenario import facts_of, is_whole


def write_outputs(run: Path, folder: Path, refuse: Callable[[str], None]) -> list[Path]:
    """Write FOLDER/SAMPLE/output.wav for every recording in `run`; `refuse` is told of those that cannot be.

    Raises NotARecording when there are none.
    """
    recordings, written = sorted(run.glob("*.jsonl")), []
    if not recordings:
        raise NotARecording(f"{run}: no recordings; make some with: python -m eval run --suite fdb:FOLDER --out {run}")
    for path in recordings:
        try:
            recording, sample = opened(path)
            target = place(folder, sample.path, OUTPUT)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_wav(target, output(recording, sample), sample.rate_hz)
            written.append(target)
        except (BadSample, ConfigError, NotARecording) as error:
            refuse(f"{path.stem}: {error}")
    return written


def opened(path: Path) -> tuple[Recording, Sample]:
    """A whole recording of an FDB sample. Raises NotARecording, or ConfigError where its header is broken."""
    recording = Recording.open(path)
    sample = sample_in(recording.meta)
    if sample is None:
        raise NotARecording("not of a Full-Duplex-Bench sample")
    if not is_whole(recording, facts_of(recording.meta)):
        raise NotARecording("cut short")
    return recording, sample


def output(recording: Recording, sample: Sample) -> np.ndarray:
    """The agent's side, float32 [sample.frames] at sample.rate_hz."""
    pcm = resampled(recording.agent, sample.rate_hz)[: sample.frames]
    return np.pad(pcm, (0, sample.frames - len(pcm)))


def resampled(pcm: np.ndarray, rate_hz: int) -> np.ndarray:
    """float32 [n] at 24 kHz -> at another rate, zero-phase."""
    common = gcd(rate_hz, SAMPLE_RATE)
    return resample_poly(pcm, rate_hz // common, SAMPLE_RATE // common).astype(np.float32)


def place(folder: Path, sample: str, name: str) -> Path:
    """FOLDER/SAMPLE/NAME. Raises BadSample unless that is a file's place inside of `folder`, links followed."""
    parts = sample.split("/")
    target = folder.joinpath(*parts, name)
    plain = all(part not in ("", ".", "..") and "\\" not in part and "\0" not in part for part in parts)
    if not plain or not target.resolve().is_relative_to(folder.resolve()):
        raise BadSample(f"{sample!r} is no place inside of {folder}")
    return target


def write_wav(path: Path, pcm: np.ndarray, rate_hz: int) -> None:
    """float32 [n] -> 16-bit mono."""
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, rate_hz, 0, "NONE", ""))
        wav.writeframes(np.round(np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())
