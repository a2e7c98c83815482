"""The instrument is calibrated before it judges: `python -m eval calibrate`.

First the ear alone, on sounds whose edges are known to the sample. Then from end to end: the echo agent is late by
known times and the scripted agent stops at known samples, in this process and behind our server on every wire that
carries sound; the judge must find each within LIMIT_MS on the stream clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hibari import Hibari

from duplex.agents import open_agent
from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from duplex.protocols.opus import OPUS_DELAY_SAMPLES
from duplex.recording import Recording
from duplex.turns import Span
from eval import instrument
from eval.play import Player, in_process, over_wire
from eval.process import free_port, running, serve_command
from eval.scenario import Facts, Scenario
from eval.suites.smoke import QUESTIONS, VOICES, spoken
from eval.suites.tones import burst

LIMIT_MS = 5.0
DELAYS_MS = (0.0, 40.0, 60.0, 80.0, 240.0)
STOPS_MS = (80.0, 160.0, 480.0)
RESPOND_MS = 240.0
HERE, LOSSY = "in process", ("wire chat",)
WIRES = ("pcm", "chat")  # the codes of the wire "tokens" are a model's, which these agents are not
BURSTS = 60
SERVERS_AT_ONCE = 4
LAG_MS = PLAYOUT_LAG * FRAME_SAMPLES * 1000 / SAMPLE_RATE

HEAD = ("where", "what", "known ms", "found ms", "residual ms", "")
NOTE = f"On the stream clock, which counts one frame of {LAG_MS:.0f} ms; a residual of more than {LIMIT_MS:g} ms fails."
EAR_HEAD = ("ear", "sounds", "n", "missed", "onset ms", "IQR", "worst", "end ms", "IQR", "worst")
EAR_NOTE = "Median error, interquartile range and largest error on sounds placed at random samples; bias subtracted."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was known and what the judge made of it."""

    where: str  # in process, or the wire
    what: str
    known_ms: float
    found_ms: float | None  # None: it found nothing

    @property
    def residual_ms(self) -> float | None:
        return None if self.found_ms is None else self.found_ms - self.known_ms

    @property
    def passed(self) -> bool:
        return self.residual_ms is not None and abs(self.residual_ms) <= LIMIT_MS


def checks(wires: Sequence[str] | None = None) -> int:
    """How many there will be."""
    places = [HERE, *(f"wire {wire}" for wire in wires or WIRES)]
    return sum(len(DELAYS_MS) + len(STOPS_MS) * (1 if where in LOSSY else 2) for where in places)


def calibrate(wires: Sequence[str] | None = None) -> Iterator[Check]:
    """Every check, as soon as it is done. Raises eval.process.ServerFailed."""
    with TemporaryDirectory() as folder:
        yield from _delays(wires or WIRES, Path(folder))
        yield from _stops(wires or WIRES, Path(folder))


def row(check: Check) -> list[str]:
    """In the order of HEAD."""
    found = ["-", "-"] if check.found_ms is None else [f"{check.found_ms:.1f}", f"{check.residual_ms:+.1f}"]
    return [check.where, check.what, f"{check.known_ms:.1f}", *found, "" if check.passed else "FAILED"]


def _delays(wires: Sequence[str], folder: Path) -> Iterator[Check]:
    user = Span(SAMPLE_RATE + 137, 2 * SAMPLE_RATE + 11)  # on no hop's edge
    said = scenario("delay", [user], 4.0)
    played = _side_by_side("echo", [{"delay_ms": delay_ms} for delay_ms in DELAYS_MS], said, wires, folder)
    for delay_ms, found in zip(DELAYS_MS, played, strict=True):
        for where, heard in found:
            yield Check(where, "delay", delay_ms + _late_ms(where), _onset_ms(heard, user.begin))


def _stops(wires: Sequence[str], folder: Path) -> Iterator[Check]:
    """Opus lets a sound ring on, so behind it the agent hears another end of the turn than the one that is known here:
    there only the stop is checked."""
    turn, interruption = Span(SAMPLE_RATE, 2 * SAMPLE_RATE), Span(3 * SAMPLE_RATE, 4 * SAMPLE_RATE)
    said = scenario("stop", [turn, interruption], 6.0)
    fixed = {"respond_after_ms": RESPOND_MS, "reply_ms": 5000.0}
    settings = [fixed | {"stop_after_ms": stop_ms} for stop_ms in STOPS_MS]
    for stop_ms, found in zip(STOPS_MS, _side_by_side("scripted", settings, said, wires, folder), strict=True):
        for where, heard in found:
            if where not in LOSSY:
                yield Check(where, "response", RESPOND_MS + _late_ms(where), _onset_ms(heard, turn.end))
            yield Check(where, "stop", stop_ms + _late_ms(where), _end_ms(heard, interruption.begin))


def _late_ms(where: str) -> float:
    """What the stream clock counts besides: one frame, and what Opus takes each way."""
    return LAG_MS + (2 * OPUS_DELAY_SAMPLES * 1000 / SAMPLE_RATE if where in LOSSY else 0.0)


def _onset_ms(recording: Recording, since: int) -> float | None:
    """From sample `since` to the agent's first sound."""
    found = instrument.speech(recording.agent)
    return (found[0].begin - since) * 1000 / SAMPLE_RATE if found else None


def _end_ms(recording: Recording, since: int) -> float | None:
    """From sample `since` to the end of the sound that it fell into."""
    found = [s for s in instrument.speech(recording.agent) if s.begin < since < s.end]
    return (found[0].end - since) * 1000 / SAMPLE_RATE if found else None


# --- the ear alone ----------------------------------------------------------------------------------------------------


def ear(detect: Callable[[np.ndarray], list[Span]], clips: Sequence[np.ndarray]) -> dict[str, float | int]:
    """Errors of a detector on clips placed at random samples: {onset, end: median; *_iqr; *_worst, ms; n, missed}."""
    rng, errors = np.random.default_rng(0), []
    for clip in clips:
        begin = int(rng.integers(SAMPLE_RATE // 2, SAMPLE_RATE))
        pcm = np.zeros(begin + len(clip) + SAMPLE_RATE, np.float32)
        pcm[begin : begin + len(clip)] = clip
        errors.append(instrument.errors_ms(detect(pcm), Span(begin, begin + len(clip))))
    found = np.array([e for e in errors if e is not None]).reshape(-1, 2)
    out: dict[str, float | int] = {"n": len(clips), "missed": len(clips) - len(found)}
    for name, values in zip(("onset", "end"), found.T, strict=True):
        low, middle, high = np.percentile(values, (25, 50, 75)) if len(values) else (np.nan,) * 3
        worst = np.abs(values).max() if len(values) else np.nan
        out |= {name: round(middle, 1), f"{name}_iqr": round(high - low, 1), f"{name}_worst": round(float(worst), 1)}
    return out


def ears() -> Iterator[tuple[str, str, dict[str, float | int]]]:
    """(detector, sounds, errors) for the energy gate and Silero, on sharp bursts and on speech."""
    sounds = {"bursts": bursts(), "speech": speech_clips()}
    for name, detect in (("energy, 5 ms", instrument.speech), ("Silero", instrument.silero())):
        for sound, clips in sounds.items():
            if name != "Silero" or sound == "speech":  # it hears no speech in a burst
                yield name, sound, ear(detect, clips)


def speech_clips() -> list[np.ndarray]:
    """The questions of the smoke suite, from their first sample at -40 dBFS to their last."""
    speak = Hibari()
    return [spoken(speak, text, voice, seed) for seed, (text, _) in enumerate(QUESTIONS) for voice in VOICES]


def bursts(count: int = BURSTS) -> list[np.ndarray]:
    """Sounds with sharp edges and lengths of no round number."""
    rng = np.random.default_rng(1)
    return [burst(int(rng.integers(SAMPLE_RATE // 4, SAMPLE_RATE))) for _ in range(count)]


# --- from end to end --------------------------------------------------------------------------------------------------


def scenario(name: str, spoken: Sequence[Span], seconds: float) -> Scenario:
    """A user who sounds in the given spans."""
    pcm = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for span in spoken:
        pcm[span.begin : span.end] = burst(span.end - span.begin)
    facts = Facts(spoken[0].begin, spoken[-1].end, len(pcm), text="a tone", voice="tone", seed=0)
    return Scenario(name, pcm, facts)


def _side_by_side(
    agent: str, settings: Sequence[Mapping[str, float]], said: Scenario, wires: Sequence[str], folder: Path
) -> Iterator[list[tuple[str, Recording]]]:
    """For each of `settings`, in their order: what `_played` gives. Most of it is waiting for servers."""
    with ThreadPoolExecutor(SERVERS_AT_ONCE) as pool:
        yield from pool.map(
            lambda i: list(_played(agent, settings[i], said, wires, folder / f"{agent}-{i}")), range(len(settings))
        )


def _played(
    agent: str, settings: Mapping[str, float], said: Scenario, wires: Sequence[str], folder: Path
) -> Iterator[tuple[str, Recording]]:
    """In this process, then over each wire of one server."""
    folder.mkdir()
    yield HERE, asyncio.run(_played_here(agent, settings, said, folder / said.id))
    if not wires:
        return
    port, config = free_port(), folder / "serve.toml"
    config.write_text(f"[{agent}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
    command = [*serve_command([agent], port), "--config", str(config)]
    with running(command, f"http://127.0.0.1:{port}/health", folder / "serve.log"):
        for wire in wires:
            player = over_wire(f"ws://127.0.0.1:{port}", wire, agent, paced=False, seed=0)
            asyncio.run(_kept(player, said, folder / said.id))
            yield f"wire {wire}", Recording.open(folder / said.id)


async def _played_here(agent: str, settings: Mapping[str, float], said: Scenario, path: Path) -> Recording:
    opened = open_agent(agent, settings)
    try:
        await _kept(in_process(opened, paced=False, seed=0), said, path)
    finally:
        await opened.close()
    return Recording.open(path)


async def _kept(player: Player, said: Scenario, path: Path) -> None:
    await player(said, path, said.meta())
