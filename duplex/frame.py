"""The clock and the unit of exchange: ticks of 80 ms, and the Frame that one party fills in one tick.

Imports numpy and nothing else. Time below the edges of the project is an integer tick number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

SAMPLE_RATE = 24_000  # Hz, mono, everywhere inside duplex
FRAME_SAMPLES = 1_920  # one tick
FRAME_MS = 80
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
TICK_HZ = SAMPLE_RATE / FRAME_SAMPLES  # 12.5
PLAYOUT_LAG = 1  # ticks: what is said in tick t is answered to heard[..t], so it can sound from tick t+1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a tick. The kinds are in `duplex.events`."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What one party did during tick t, i.e. samples [t*1920, (t+1)*1920).

    pcm is float32 [1920] with full scale 1.0; codes is an integer array [K] of Mimi codes. A frame holds at least
    one of the two; silence is zeros, never None. Raises ValueError when a field has another shape.
    """

    t: int
    pcm: np.ndarray | None = None  # float32 [1920]
    codes: np.ndarray | None = None  # int [K]
    text: str = ""  # words voiced in this tick, usually ""
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        if self.pcm is None and self.codes is None:
            raise ValueError(f"frame {self.t} holds neither pcm nor codes")
        if self.pcm is not None and (self.pcm.shape != (FRAME_SAMPLES,) or self.pcm.dtype != np.float32):
            raise ValueError(
                f"frame {self.t}: pcm must be float32 [{FRAME_SAMPLES}], got {self.pcm.dtype} {list(self.pcm.shape)}"
            )
        if self.codes is not None and self.codes.ndim != 1:
            raise ValueError(f"frame {self.t}: codes must be [K], got {list(self.codes.shape)}")

    def at(self, t: int) -> Frame:
        """The same content at another tick."""
        return replace(self, t=t)


def silence(t: int) -> Frame:
    """A frame of zeros."""
    return Frame(t, np.zeros(FRAME_SAMPLES, np.float32))


class Framer:
    """Turns PCM that arrives in any chunking into consecutive frames.

    The frames depend only on the samples, never on how they were cut up.
    """

    def __init__(self, t: int = 0) -> None:
        self.t = t  # the tick of the next frame
        self._rest = np.zeros(0, np.float32)

    @property
    def pending_samples(self) -> int:
        """Samples received that do not yet fill a frame."""
        return len(self._rest)

    def push(self, pcm: np.ndarray) -> list[Frame]:
        """float32 [n], any n -> the frames that are now complete. Raises ValueError when pcm is not 1-dimensional."""
        if pcm.ndim != 1:
            raise ValueError(f"pcm must be one channel [n], got {list(pcm.shape)}")
        samples = np.concatenate([self._rest, pcm.astype(np.float32, copy=False)])
        whole = len(samples) // FRAME_SAMPLES
        self._rest = samples[whole * FRAME_SAMPLES :].copy()
        return [self._next(samples[i * FRAME_SAMPLES : (i + 1) * FRAME_SAMPLES]) for i in range(whole)]

    def flush(self) -> list[Frame]:
        """The rest, padded with silence to one frame; [] when nothing is pending."""
        missing = FRAME_SAMPLES - len(self._rest)
        return self.push(np.zeros(missing, np.float32)) if missing < FRAME_SAMPLES else []

    def lull(self) -> Frame:
        """The next frame, though no samples came for it: what is pending, padded with silence."""
        return (self.flush() or self.push(np.zeros(FRAME_SAMPLES, np.float32)))[0]

    def _next(self, samples: np.ndarray) -> Frame:
        frame = Frame(self.t, samples.copy())
        self.t += 1
        return frame


def frames_of(pcm: np.ndarray, t: int = 0) -> Iterator[Frame]:
    """All frames of a whole signal [n], the last one padded with silence."""
    framer = Framer(t)
    yield from framer.push(pcm)
    yield from framer.flush()
