"""What both sides did, tick by tick: NAME.wav (left user, right agent) beside NAME.jsonl (one line a tick).

The first JSON line is a header. Every later line is one tick: what was said and reported in it, and two times on the
wall clock of whoever recorded: `heard_ms`, when the user's frame was complete, and `said_ms`, when the agent's frame
was at hand. In the WAV the agent's frame t starts at tick t + PLAYOUT_LAG, the earliest a listener could hear it.

Both files are flushed each tick and the WAV header is kept right, so a killed process leaves a readable recording.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE, Event, Frame

SCHEMA = 1
_SILENCE = np.zeros(FRAME_SAMPLES, np.float32)


class NotARecording(Exception):
    """The files are missing or hold something else; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of the record. Times are milliseconds since the recording began, None if nobody measured them."""

    t: int
    heard_ms: float | None = None
    said_ms: float | None = None
    user_text: str = ""
    agent_text: str = ""
    events: tuple[Mapping[str, Any], ...] = ()  # {"kind": "Hop", "stage": "stt", "ms": 120.0}
    codes: Mapping[str, list[int]] = field(default_factory=dict)  # {"user": [K], "agent": [K]} where codes were spoken


class RecordingWriter:
    """Appends ticks. Use as a context manager, or call close()."""

    def __init__(self, path: Path, meta: Mapping[str, Any] | None = None) -> None:
        """`path` without suffix; parent folders are made. `meta` is any JSON: agent, weights, pace, commit ..."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._wav_file = path.with_name(path.name + ".wav").open("wb")
        self._wav = wave.open(self._wav_file, "wb")  # noqa: SIM115
        self._wav.setparams((2, 2, SAMPLE_RATE, 0, "NONE", ""))
        self._lines = path.with_name(path.name + ".jsonl").open("w", encoding="utf-8")
        self._pending = [_SILENCE] * PLAYOUT_LAG  # agent frames not yet due in the WAV
        self._write_line(
            {"duplex_recording": SCHEMA, "sample_rate": SAMPLE_RATE, "playout_lag": PLAYOUT_LAG, "meta": meta or {}}
        )

    def append(self, heard: Frame, said: Frame, heard_ms: float | None = None, said_ms: float | None = None) -> None:
        """One tick. Raises ValueError when the two frames are not of the same tick."""
        if heard.t != said.t:
            raise ValueError(f"heard tick {heard.t} but said tick {said.t}")
        self._pending.append(_SILENCE if said.pcm is None else said.pcm)
        self._write_pcm(_SILENCE if heard.pcm is None else heard.pcm, self._pending.pop(0))
        self._write_line(_line(heard, said, heard_ms, said_ms))

    def close(self) -> None:
        """Write what is still due and close the files. Idempotent."""
        if self._lines.closed:
            return
        for due in self._pending:
            self._write_pcm(_SILENCE, due)
        self._wav.close()
        self._wav_file.close()
        self._lines.close()

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_pcm(self, user: np.ndarray, agent: np.ndarray) -> None:
        stereo = np.stack([user, agent], axis=1)  # [1920, 2]
        self._wav.writeframes((np.clip(stereo, -1, 1) * 32767).astype("<i2").tobytes())
        self._wav_file.flush()

    def _write_line(self, line: Mapping[str, Any]) -> None:
        self._lines.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._lines.flush()


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished (or killed) recording, read whole."""

    meta: Mapping[str, Any]
    user: np.ndarray  # float32 [samples]
    agent: np.ndarray  # float32 [samples], PLAYOUT_LAG already applied
    ticks: tuple[Tick, ...]

    @staticmethod
    def open(path: Path) -> Recording:
        """Read NAME.wav and NAME.jsonl, given with or without suffix.

        A last line or sample that a killed process left half written is dropped. Raises NotARecording.
        """
        stem = path.with_suffix("") if path.suffix in (".wav", ".jsonl") else path
        header, ticks = _read_lines(stem.with_name(stem.name + ".jsonl"))
        stereo = _read_stereo(stem.with_name(stem.name + ".wav"))
        return Recording(header.get("meta", {}), stereo[:, 0].copy(), stereo[:, 1].copy(), ticks)

    def agent_text(self) -> str:
        """Everything the agent's text stream said."""
        return "".join(tick.agent_text for tick in self.ticks).strip()

    def events(self, kind: type[Event]) -> list[tuple[int, Mapping[str, Any]]]:
        """(tick, fields) of every event of one kind, in order."""
        return [(tick.t, e) for tick in self.ticks for e in tick.events if e["kind"] == kind.__name__]


def _line(heard: Frame, said: Frame, heard_ms: float | None, said_ms: float | None) -> dict[str, Any]:
    line: dict[str, Any] = {"t": said.t}
    if heard_ms is not None:
        line["heard_ms"] = round(heard_ms, 2)
    if said_ms is not None:
        line["said_ms"] = round(said_ms, 2)
    if heard.text:
        line["user_text"] = heard.text
    if said.text:
        line["agent_text"] = said.text
    if events := [{"kind": type(e).__name__, **asdict(e)} for e in said.events]:
        line["events"] = events
    codes = {who: f.codes.tolist() for who, f in (("user", heard), ("agent", said)) if f.codes is not None}
    return line | ({"codes": codes} if codes else {})


def _read_lines(path: Path) -> tuple[dict[str, Any], tuple[Tick, ...]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotARecording(f"{path}: {error.strerror}") from None
    whole = text.split("\n")[:-1]  # splitlines would also split at U+2028 and the like, inside of a text
    try:
        header, *lines = [json.loads(line) for line in whole]
        if header["duplex_recording"] != SCHEMA:
            raise NotARecording(f"{path}: schema {header['duplex_recording']}, this version reads {SCHEMA}")
        return header, tuple(Tick(**{**line, "events": tuple(line.get("events", ()))}) for line in lines)
    except (ValueError, KeyError, TypeError) as error:
        raise NotARecording(f"{path}: not a recording: {error!r}") from None


def _read_stereo(path: Path) -> np.ndarray:
    try:
        with wave.open(str(path), "rb") as wav:
            if wav.getnchannels() != 2 or wav.getsampwidth() != 2 or wav.getframerate() != SAMPLE_RATE:
                raise NotARecording(f"{path}: must be 16-bit stereo at {SAMPLE_RATE} Hz")
            data = wav.readframes(wav.getnframes())
    except (OSError, wave.Error, EOFError) as error:
        raise NotARecording(f"{path}: {error}") from None
    whole = np.frombuffer(data[: len(data) // 4 * 4], "<i2")  # 4 bytes: one sample of both sides
    return whole.reshape(-1, 2).astype(np.float32) / 32767
