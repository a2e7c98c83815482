"""Fixtures: a tiny random checkpoint, and models of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex.checkpoint import locate
from duplex.engine.forcing import FREE
from duplex.engine.model import Heard, Model, Place, Said
from duplex.session import Sampling
from tests.engine.tiny import write_tiny

ROWS = 3
PLACE = Place.named("cpu")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder."""
    torch.set_num_threads(1)
    return write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def model(tiny: Path) -> Model:
    """Three rows of the tiny checkpoint."""
    return Model.load(locate(tiny), ROWS, PLACE)


@pytest.fixture
def make_model(tiny: Path) -> Callable[..., Model]:
    """A model of the tiny checkpoint with any number of rows."""
    return lambda rows=ROWS, context=None: Model.load(locate(tiny), rows, PLACE, context)


class Driver:
    """Steps chosen rows of a model, each with its own signal, and collects what each row said."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.codes: dict[int, list[list[int]]] = {row: [] for row in range(model.rows)}
        self.text: dict[int, list[int]] = {row: [] for row in range(model.rows)}
        self.pcm: dict[int, list[np.ndarray]] = {row: [] for row in range(model.rows)}
        self._fresh: set[int] = set()

    def seat(self, row: int, **sampling: object) -> None:
        """A new session in `row`; what it said before is forgotten here too."""
        self.model.seat(row, Sampling(**{"text_seed": 1, "audio_seed": 2, **sampling}))  # type: ignore[arg-type]
        self._fresh.add(row)
        self.codes[row], self.text[row], self.pcm[row] = [], [], []

    def step(self, heard: dict[int, np.ndarray], forced: dict[int, int] | None = None) -> Said:
        """Advance the rows in `heard`, each with PCM [1920] or codes [K]; other rows get junk and are masked.

        `forced`: the text tokens of the rows that do not choose their own.
        """
        rows = self.model.rows
        junk = np.random.default_rng(0)
        pcm = junk.normal(size=(rows, 1920)).astype(np.float32)
        codes = junk.integers(0, self.model.cardinality, (rows, self.model.codebooks))
        by_pcm = np.ones(rows, bool)
        for row, signal in heard.items():
            by_pcm[row] = len(signal) == 1920
            (pcm if by_pcm[row] else codes)[row] = signal
        active = np.isin(np.arange(rows), list(heard))
        first = np.isin(np.arange(rows), [row for row in heard if row in self._fresh])
        self._fresh -= heard.keys()
        tokens = None if forced is None else np.array([forced.get(row, FREE) for row in range(rows)])
        said = self.model.step(Heard(active, first, by_pcm, pcm, codes, tokens))
        for row in heard:
            self.codes[row].append(said.codes[row].tolist())
            self.text[row].append(int(said.text[row]))
            self.pcm[row].append(said.pcm[row])
        return said


@pytest.fixture
def drive() -> type[Driver]:
    """The Driver class."""
    return Driver


def signal(seed: int, ticks: int) -> np.ndarray:
    """A reproducible user: noise bursts, float32 [ticks, 1920]."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(0, 0.5, ticks), 1920).reshape(ticks, 1920)
    return (rng.normal(size=(ticks, 1920)) * loud).astype(np.float32)
