"""A long training run: a time box, checkpoints that are whole or absent, exact resume, a curve. Knows no model.

    go(trainee, out, Pace(minutes=60))

`out/checkpoints/00001234/` holds one safetensors file per part and `state.json`; `out/curve.jsonl` one line per
`log_every` steps. There is no random state to save: a trainee draws step n from its seed and n alone (`step_rng`).
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file

Tensors = Mapping[str, torch.Tensor]
Numbers = Mapping[str, Any]  # of one line of the curve: floats, or lists of them


class NotFinite(Exception):
    """The loss is no number any more; the message says at which step. The last checkpoint is from before."""


class Trainee(Protocol):
    """What is trained. Two trainees with equal parts do the same in step n."""

    def step(self, n: int) -> dict[str, float]: ...  # one update; "loss" among the numbers
    def evaluate(self) -> Numbers: ...  # on held-out data, cheap
    def parts(self) -> dict[str, Tensors]: ...  # file name without suffix -> all that must survive
    def restore(self, parts: Mapping[str, Tensors]) -> None: ...


@dataclass(frozen=True)
class Pace:
    minutes: float = 60.0
    steps: int | None = None  # the run is over after this many, however long they took; None: time alone ends it
    log_every: int = 20  # steps
    evaluate_every: int = 500  # steps; a multiple of log_every
    checkpoint_minutes: float = 5.0
    keep: int = 2  # checkpoints

    def __post_init__(self) -> None:
        if self.log_every < 1 or self.evaluate_every % self.log_every:
            raise ValueError(f"evaluate_every must be a multiple of log_every, which is {self.log_every}")


def go(
    trainee: Trainee,
    out: Path,
    pace: Pace,
    say: Callable[[str], object] = lambda line: None,
    saved: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    stop: Event | None = None,
) -> int:
    """Train from the last checkpoint in `out`, or from nothing, until time or steps are up or `stop` is set.

    Returns the steps done. Saves at the end and every few minutes, then calls `saved`. Raises NotFinite, and OSError
    where `out` cannot be written.
    """
    step = resume(trainee, out)
    curve = Curve(out / "curve.jsonl", step)
    began = last_save = logged = clock()
    sums: dict[str, float] = {}
    while clock() - began < pace.minutes * 60 and (pace.steps is None or step < pace.steps):
        if stop and stop.is_set():
            break
        for key, value in _finite(trainee.step(step), step).items():
            sums[key] = sums.get(key, 0.0) + value
        step += 1
        if step % pace.log_every == 0:
            line = {key: round(value / pace.log_every, 5) for key, value in sums.items()}
            line["step_s"] = round((clock() - logged) / pace.log_every, 3)
            line |= trainee.evaluate() if step % pace.evaluate_every == 0 else {}
            say(curve.append(step, line))
            sums, logged = {}, clock()
        if clock() - last_save >= pace.checkpoint_minutes * 60:
            save(out, step, trainee.parts(), pace.keep)
            saved()
            last_save = clock()
    save(out, step, trainee.parts(), pace.keep)
    saved()
    return step


def stopped_by_signals() -> Event:
    """Set by the first Ctrl-C or SIGTERM, so that a run saves before it ends; the second one kills."""
    stop = Event()

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def step_rng(seed: int, n: int) -> np.random.Generator:
    """The generator of step n; torch's global one is seeded alike, for packages that draw from it."""
    torch.manual_seed((seed * 1_000_003 + n) % 2**63)
    return np.random.default_rng((seed, n))


def save(out: Path, step: int, parts: Mapping[str, Tensors], keep: int = 2) -> Path:
    """Write a checkpoint, whole or not at all, and drop all but the newest `keep`."""
    folder = out / "checkpoints" / f"{step:08d}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, tensors in parts.items():
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial / f"{name}.safetensors")
        (partial / "state.json").write_text(json.dumps({"step": step, "parts": sorted(parts)}))
        partial.rename(folder)
    for old in _checkpoints(out)[:-keep]:
        shutil.rmtree(old)
    return folder


def load(out: Path) -> tuple[int, dict[str, Tensors]] | None:
    """The newest checkpoint in `out`: (steps done, parts, on the CPU), or None."""
    if not (folders := _checkpoints(out)):
        return None
    state = json.loads((folders[-1] / "state.json").read_text())
    return state["step"], {name: load_file(folders[-1] / f"{name}.safetensors") for name in state["parts"]}


def resume(trainee: Trainee, out: Path) -> int:
    """Restore the newest checkpoint, if there is one. Returns the steps done."""
    if (found := load(out)) is None:
        return 0
    trainee.restore(found[1])
    return found[0]


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The moments of every parameter; rates and the like come from the configuration."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{key}": value for index, slots in state.items() for key, value in slots.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Undo `optimiser_tensors`. Raises ValueError when the shapes are another model's."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".")
        if tensor.dim() and tensor.shape != parameters[int(index)].shape:
            raise ValueError("the checkpoint's optimiser belongs to a model of other shapes; train into another folder")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


class Curve:
    """One JSON line per entry. What a killed run wrote after its last checkpoint is dropped."""

    def __init__(self, path: Path, step: int) -> None:
        """Go on after `step`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def append(self, step: int, numbers: Numbers) -> str:
        """Write the line; returns a short one for people."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")
        return f"{step:7d}  " + "  ".join(f"{key} {_short(value)}" for key, value in numbers.items())


def _short(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _finite(numbers: dict[str, float], step: int) -> dict[str, float]:
    if not np.isfinite(numbers["loss"]):
        raise NotFinite(f"step {step}: the loss is {numbers['loss']}; go on from the last checkpoint at a lower rate")
    return numbers


def _checkpoints(out: Path) -> list[Path]:
    return sorted(path for path in (out / "checkpoints").glob("*") if path.name.isdigit())
