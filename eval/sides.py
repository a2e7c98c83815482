"""The sides of a comparison: scored folders, each under the name that it has on the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duplex.config import ConfigError
from duplex.recording import Recording
from eval.judge import Score
from eval.plain import open_recording


@dataclass(frozen=True, slots=True)
class Side:
    """One agent's."""

    label: str
    folder: Path
    judged: Mapping[str, Any]  # what its scores.json holds

    @property
    def scores(self) -> list[Score]:
        return [Score(**fields) for fields in self.judged["questions"]]

    @property
    def questions(self) -> dict[str, Score]:
        return {score.scenario: score for score in self.scores}

    @property
    def conversations(self) -> dict[str, Mapping[str, Any]]:
        return {each["recording"]: each for each in self.judged["conversations"]}

    def values(self, metric: str) -> list[float | None]:
        """Of all conversations, in order."""
        return [v for each in self.judged["conversations"] for v in each["values"].get(metric, ())]

    def recording(self, name: str) -> Recording:
        ours = self.folder / f"{name}.jsonl"
        return open_recording(ours if ours.exists() else self.folder / f"{name}.wav")


def sides_of(folders: Sequence[Path]) -> list[Side]:
    """Each folder under its agent's name, or under its own where two agents share one. Raises ConfigError."""
    judged = {folder: scores_of(folder) for folder in folders}
    names = [j["agent"] for j in judged.values()]
    labels = [j["agent"] if names.count(j["agent"]) == 1 else f.resolve().name for f, j in judged.items()]
    if len(set(labels)) < len(folders):
        raise ConfigError(f"cannot tell these apart: {', '.join(map(str, folders))}; give the folders different names")
    return [Side(label, folder, j) for label, (folder, j) in zip(labels, judged.items(), strict=True)]


def scores_of(folder: Path) -> dict[str, Any]:
    """What `python -m eval score` left in a folder. Raises ConfigError where it did not."""
    try:
        return json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{folder}: no scores; make them with: python -m eval score {folder}") from None
