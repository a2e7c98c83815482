"""Speech to train a codec on: a folder of WAVs (Recordings too) as one memory-mapped run of 80 ms frames.

Every channel that is not silent is a clip: 24 kHz, whole frames. Files that come later are appended to the cache, so
frame numbers stay; what else is known of each frame (`teacher.py`) is cached beside it under the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE

_AUDIBLE_DBFS = -45.0  # of a frame: where segments are taken from
_HELD_OUT_EVERY = 20  # every 20th clip is never trained on
_SILENT_SHARE = 0.1  # of the segments, taken anywhere: silence must be learnt too


class NoClips(Exception):
    """The folder holds no speech, or not what was cached from it; the message says what to do."""


@dataclass(frozen=True)
class Clips:
    audio: np.ndarray  # int16 [F, 1920], memory-mapped
    spans: tuple[tuple[int, int], ...]  # a clip is frames [begin, end)
    audible: np.ndarray  # int64: frames of the training clips with sound in them
    training: tuple[int, ...]  # clips
    held_out: tuple[int, ...]  # clips

    def draw(self, rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
        """Frame numbers int64 [count, frames] of segments from training clips, -1 past a clip's end."""
        rows = []
        for _ in range(count):
            if rng.random() < _SILENT_SHARE:
                begin, end = self.spans[rng.choice(self.training)]
                middle = int(rng.integers(begin, end))
            else:
                middle = int(rng.choice(self.audible))
                begin, end = self.spans[self._clip_of(middle)]
            rows.append(_segment(middle - int(rng.integers(frames)), begin, end, frames))
        return np.stack(rows)

    def held_out_segments(self, count: int, frames: int) -> np.ndarray:
        """Frame numbers int64 [n, frames], n <= count: the middles of held-out clips, always the same."""
        chosen = self.held_out[:: max(1, len(self.held_out) // count)][:count]
        spans = [self.spans[i] for i in chosen]
        return np.stack([_segment((begin + end - frames) // 2, begin, end, frames) for begin, end in spans])

    def pcm(self, numbers: np.ndarray) -> np.ndarray:
        """Frame numbers [B, T] -> float32 [B, T * 1920], silence where the number is -1."""
        pcm = self.audio[numbers].astype(np.float32) / 32768  # -1 reads the last frame
        return np.where(numbers[..., None] < 0, np.float32(0), pcm).reshape(len(numbers), -1)

    def _clip_of(self, frame: int) -> int:
        return int(np.searchsorted([begin for begin, _ in self.spans], frame, side="right")) - 1


def open_clips(data: Path, cache: Path) -> Clips:
    """Read what is new in `data` into `cache`, map all of it. Raises NoClips."""
    cache.mkdir(parents=True, exist_ok=True)
    audio, index = cache / "audio.i16", cache / "clips.jsonl"
    known = [json.loads(line) for line in index.read_text().splitlines()] if index.exists() else []
    frames = known[-1]["end"] if known else 0
    with audio.open("ab") as samples, index.open("a") as lines:
        samples.truncate(frames * FRAME_SAMPLES * 2)  # what a killed run had not indexed yet
        for path in _unread(data, known):
            spans = []
            for channel in read_wav(path):
                whole = _whole_frames(channel)
                samples.write(whole.tobytes())
                spans.append((frames, frames + len(whole)))
                frames += len(whole)
            samples.flush()
            entry = {"file": path.relative_to(data).as_posix(), "bytes": path.stat().st_size, "end": frames}
            lines.write(json.dumps(entry | {"spans": spans}) + "\n")
            lines.flush()
    return _mapped(audio, index, data)


def read_wav(path: Path) -> list[np.ndarray]:
    """The channels that are not silent, float32 [n] at 24 kHz. Raises NoClips for anything but PCM or float WAV."""
    try:
        rate, samples = wavfile.read(path)
    except ValueError as error:
        raise NoClips(f"{path}: not a WAV that can be read: {error}") from None
    if samples.dtype not in (np.int16, np.float32):
        raise NoClips(f"{path}: {samples.dtype} samples; write 16-bit or float32 ones")
    scale = 32768 if samples.dtype == np.int16 else 1
    channels = np.atleast_2d(samples.T).astype(np.float32) / scale  # [C, n]
    shrink = gcd(rate, SAMPLE_RATE)
    resampled = [
        c if rate == SAMPLE_RATE else resample_poly(c, SAMPLE_RATE // shrink, rate // shrink) for c in channels
    ]
    return [c for c in resampled if len(c) and levels(_whole_frames(c)).max() > _AUDIBLE_DBFS]


def levels(frames: np.ndarray) -> np.ndarray:
    """int16 [F, 1920] -> dBFS [F]."""
    power = np.square(frames.astype(np.float32) / 32768).mean(axis=1)
    return 10 * np.log10(np.maximum(power, 1e-12))


def _unread(data: Path, known: list[dict]) -> Iterator[Path]:
    sizes = {entry["file"]: entry["bytes"] for entry in known}
    for path in sorted(data.rglob("*.wav")):
        name = path.relative_to(data).as_posix()
        if name not in sizes:
            yield path
        elif sizes[name] != path.stat().st_size:
            raise NoClips(f"{path} has changed since it was cached; delete the cache to read everything anew")


def _whole_frames(pcm: np.ndarray) -> np.ndarray:
    padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
    return (np.clip(padded, -1, 1) * 32767).astype("<i2").reshape(-1, FRAME_SAMPLES)


def _mapped(audio: Path, index: Path, data: Path) -> Clips:
    spans = [tuple(span) for line in index.read_text().splitlines() for span in json.loads(line)["spans"]]
    if len(spans) < 2:
        raise NoClips(
            f"{data} holds {len(spans)} clips with sound in them, of at least 2 (weights/synth.py makes some)"
        )
    frames = np.memmap(audio, "<i2", "r").reshape(-1, FRAME_SAMPLES)
    held_out = tuple(range(0, len(spans), _HELD_OUT_EVERY))
    training = tuple(i for i in range(len(spans)) if i not in held_out)
    loud = [
        begin + np.flatnonzero(levels(frames[begin:end]) > _AUDIBLE_DBFS) for begin, end in (spans[i] for i in training)
    ]
    return Clips(frames, tuple(spans), np.concatenate(loud), training, held_out)


def _segment(first: int, begin: int, end: int, frames: int) -> np.ndarray:
    first = max(begin, min(first, end - frames))
    numbers = np.arange(first, first + frames)
    return np.where(numbers < end, numbers, -1)
