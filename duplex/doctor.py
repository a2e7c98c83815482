"""What this machine can run, in plain words. Judges by size and presence; loads no model and measures no speed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from duplex.checkpoint import BadFile, Entry, locate, manifest, missing

SESSION_GB = 1.57  # KV cache of one more session of a Moshi 7B in bf16, context 3,000
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card; memory in 10^9 bytes."""

    name: str
    memory_gb: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found; memory in 10^9 bytes."""

    cores: int
    memory_gb: float | None  # None: the system does not say
    gpus: tuple[Gpu, ...]
    audio: str  # in words, see `audio_words`


# --- judgement: pure --------------------------------------------------------------------------------------------------


def runs(entry: Entry, machine: Machine) -> str:
    """Whether the machine has what `entry` needs, in words."""
    if entry.gpu_gb is None:
        return "yes, on the CPU"
    if not machine.gpus:
        return f"no: needs an NVIDIA GPU with {entry.gpu_gb:g} GB"
    best = max(machine.gpus, key=lambda gpu: gpu.memory_gb)
    if best.memory_gb < entry.gpu_gb:
        return f"no: needs {entry.gpu_gb:g} GB, {best.name} has {best.memory_gb:.0f}"
    sessions = 1 + int((best.memory_gb - entry.gpu_gb) / SESSION_GB)
    return f"yes, on {best.name}: memory for {sessions} conversation{'s' if sessions > 1 else ''}"


def absence(entry: Entry, lacking: Sequence[Path]) -> str:
    """How many of the files that it needs are not here, in words."""
    required = sum(not file.optional for file in entry.files.values())
    permission = "; gated: accept its licence, set HF_TOKEN" if entry.gated else ""
    return f"{len(lacking)} of {required} missing{permission}"


def parse_gpus(csv: str) -> tuple[Gpu, ...]:
    """Lines "name, MiB" as nvidia-smi prints them; a card that does not tell its memory is left out."""
    rows = [line.rsplit(",", 1) for line in csv.splitlines() if "," in line]
    return tuple(Gpu(name.strip(), int(mib) * 2**20 / 1e9) for name, mib in rows if mib.strip().isdigit())


def audio_words(inputs: int, outputs: int) -> str:
    """Whether `duplex talk` can use these devices."""
    if inputs and outputs:
        return f"{inputs} in, {outputs} out: duplex talk works"
    lack = " and no ".join(name for name, count in (("microphone", inputs), ("loudspeaker", outputs)) if not count)
    return f"no {lack}: use duplex talk --input USER.wav --output REPLY.wav"


# --- probing ----------------------------------------------------------------------------------------------------------


def probe() -> Machine:
    """Look at this machine. Never raises: what cannot be found out is left out."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(cores, _memory_gb(), _gpus(), _audio())


def _memory_gb() -> float | None:
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):
        return None
    for path in map(Path, _CGROUP_LIMITS):  # a container may have less than the machine
        if path.exists() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits) / 1e9


def _gpus() -> tuple[Gpu, ...]:
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_gpus(answer.stdout) if answer.returncode == 0 else ()


def _audio() -> str:
    try:
        import sounddevice

        devices = sounddevice.query_devices()
    except ImportError:
        return "no sounddevice package: pip install sounddevice"
    except Exception as error:  # OSError without PortAudio, PortAudioError when it cannot start
        if "PortAudio library not found" in str(error):
            return "no PortAudio library, which a microphone needs: sudo apt install libportaudio2"
        return f"the sound system does not answer: {error}"
    count = [sum(dict(device)[f"max_{way}_channels"] > 0 for device in devices) for way in ("input", "output")]
    return audio_words(inputs=count[0], outputs=count[1])


# --- report -----------------------------------------------------------------------------------------------------------


def print_report() -> None:
    """Two tables: the machine, and every checkpoint against it."""
    machine, console = probe(), Console()
    console.print(_machine_table(machine))
    console.print(_checkpoint_table(machine))
    console.print("Missing files come with: duplex weights fetch NAME")


def _machine_table(machine: Machine) -> Table:
    table = Table(title="this machine", title_justify="left", show_header=False)
    table.add_row("CPU", f"{machine.cores} cores")
    table.add_row("memory", f"{machine.memory_gb:.0f} GB" if machine.memory_gb else "the system does not say")
    table.add_row("GPU", "\n".join(f"{gpu.name}, {gpu.memory_gb:.0f} GB" for gpu in machine.gpus) or "no NVIDIA GPU")
    table.add_row("sound", machine.audio)
    return table


def _checkpoint_table(machine: Machine) -> Table:
    table = Table("checkpoint", "runs here?", "files", title="checkpoints", title_justify="left")
    for entry in manifest().values():
        table.add_row(entry.name, runs(entry, machine), _files(entry))
    return table


def _files(entry: Entry) -> str:
    lacking = missing(entry)
    try:
        return absence(entry, lacking) if lacking else f"here: {locate(entry.name, fetch=False).folder}"
    except BadFile as error:
        return f"damaged: {error}"
