"""One sample folder of Full-Duplex-Bench -> a scenario's facts, and what a recording must keep of the sample.

Which task a sample belongs to is seen from its files; of v1.5, from the name of the folder above. A user channel is as
long as input.wav, which brings its own silence to answer in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from duplex.config import from_dict
from eval.fdb import events, files
from eval.fdb.events import Happens, Said
from eval.fdb.files import BadSample
from eval.scenario import Facts

Task = Literal[
    "v1 pause_handling",
    "v1 smooth_turn_taking",
    "v1 user_interruption",
    "v1 backchannel",
    "v1.5 user_interruption",
    "v1.5 user_backchannel",
    "v1.5 talking_to_other",
    "v1.5 background_speech",
]
Reader = Callable[[Path, Said], Happens]
V1: Mapping[str, tuple[Task, Reader]] = {  # by the file that only this task has; the last, that all have
    files.PAUSE: ("v1 pause_handling", events.pause),
    files.TURN: ("v1 smooth_turn_taking", events.turn),
    files.INTERRUPT: ("v1 user_interruption", events.interruption),
    files.TRANSCRIPT: ("v1 backchannel", events.monologue),
}
V15: Mapping[str, tuple[Task, Reader]] = {  # by what is in the name of the folder above
    "user_interruption": ("v1.5 user_interruption", events.overlap("interruption")),
    "user_backchannel": ("v1.5 user_backchannel", events.overlap("backchannel")),
    "talking_to_other": ("v1.5 talking_to_other", events.overlap("aside")),
    "background_speech": ("v1.5 background_speech", events.overlap("background")),
}
HEADER = "fdb"  # the key of a recording's header under which its Sample is


@dataclass(frozen=True, slots=True)
class Sample:
    """What FDB's own scores, and output.wav, need beside the sound."""

    path: str  # its folder, below the one that was asked for, parts joined by "/"
    task: Task
    rate_hz: int  # of input.wav
    frames: int  # of input.wav
    from_s: float = 0.0  # where FDB's scorer begins to count: the end of the user's turn, or of his interruption
    human: tuple[float, ...] | None = None  # how likely people's backchannels are, from start to end, if known

    def __post_init__(self) -> None:
        if self.rate_hz < 1 or self.frames < 1:
            raise ValueError(f"{self.path}: rate_hz and frames must be at least 1")

    def header(self) -> dict[str, Any]:
        return {HEADER: asdict(self)}


def sample_in(meta: Mapping[str, Any]) -> Sample | None:
    """The sample of a recording's header; None where that is of another suite. Raises ConfigError for a broken one."""
    return from_dict(Sample, meta[HEADER], HEADER) if HEADER in meta else None


def read_sample(folder: Path, root: Path) -> tuple[Sample, Facts]:
    """Raises BadSample, which names the file that is missing or malformed and what is expected there."""
    heard = files.sound(folder / files.INPUT)
    task, read = _task_of(folder)
    found, from_s = read(folder, events.said(folder, heard.pcm))
    first = next((e for e in found if e.kind == "question"), found[0])
    path = folder.relative_to(root).as_posix()
    people = _people(folder, root) if task == "v1 backchannel" else None
    where = f"Full-Duplex-Bench {task}, {path}"
    facts = Facts(first.begin, first.end, len(heard.pcm), first.text, where, seed=0, events=tuple(found))
    return Sample(path, task, heard.rate_hz, heard.frames, from_s, people), facts


def _task_of(folder: Path) -> tuple[Task, Reader]:
    if (folder / files.METADATA).exists():
        above = folder.resolve().parent.name
        for name, task in V15.items():
            if name in above:
                return task
        raise BadSample(f"{folder / files.METADATA}: expected below a folder named {_any(V15)}, not {above!r}")
    for name, task in V1.items():
        if (folder / name).exists():
            return task
    raise BadSample(f"{folder}: expected {_any((*V1, files.METADATA))} beside {files.INPUT}")


def _any(names: Any) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _people(folder: Path, root: Path) -> tuple[float, ...] | None:
    """Of people's backchannels, if the file that tells lies anywhere from the sample's folder up to `root`."""
    for above in folder.parents:
        if (above / files.HUMAN).exists():
            return files.human(above / files.HUMAN, folder.name)
        if above == root:
            break
    return None
