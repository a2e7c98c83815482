"""Configuration: what is written is what is meant, and a mistake is answered with what is allowed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.config import ConfigError, from_dict, from_flags, read_toml


@dataclass(frozen=True, slots=True)
class Voice:
    name: str = "heart"
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Engine:
    weights: Path
    seats: int = 4
    gain: float = 1.0
    loud: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    context: int | None = None
    pace: int | str = "auto"
    tags: tuple[str, ...] = ()
    sizes: list[float] = field(default_factory=list)
    voice: Voice = field(default_factory=Voice)
    voices: tuple[Voice, ...] = ()

    def __post_init__(self) -> None:
        if self.seats < 1:
            raise ValueError(f"seats must be at least 1, got {self.seats}")


@given(
    st.fixed_dictionaries(
        {"weights": st.just("/w")},
        optional={
            "seats": st.integers(1, 64),
            "gain": st.floats(0, 9),
            "loud": st.booleans(),
            "device": st.sampled_from(["cpu", "cuda"]),
            "context": st.none() | st.integers(),
            "pace": st.integers() | st.text(),
            "tags": st.lists(st.text()).map(tuple),
            "sizes": st.lists(st.floats(0, 9)),
            "voice": st.fixed_dictionaries({}, optional={"name": st.text(), "speed": st.floats(0, 9)}),
        },
    )
)
def test_plain_values_become_the_dataclass(values: dict) -> None:
    engine = from_dict(Engine, values)
    expected = asdict(Engine(Path("/w")))
    expected["voice"] |= values.pop("voice", {})
    assert asdict(engine) == expected | values | {"weights": Path("/w")}


def test_nested_tables_and_lists_of_tables() -> None:
    engine = from_dict(Engine, {"weights": "w", "voice": {"speed": 2}, "voices": [{"name": "a"}, {"name": "b"}]})
    assert engine.voice == Voice(speed=2.0) and isinstance(engine.voice.speed, float)
    assert engine.voices == (Voice("a"), Voice("b"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"weights": "w", "seat": 8},
            r"\[engine\] has no key 'seat'; valid keys: context, device, gain, .*seats.*weights",
        ),
        ({}, r"\[engine\] needs a value for 'weights'"),
        ({"weights": 3}, r"engine.weights must be a path, got 3"),
        ({"weights": "w", "seats": "8"}, r"engine.seats must be int, got '8'"),
        ({"weights": "w", "seats": 8.0}, r"engine.seats must be int, got 8.0"),
        ({"weights": "w", "seats": True}, r"engine.seats must be int, got True"),
        ({"weights": "w", "seats": 0}, r"\[engine\] seats must be at least 1, got 0"),
        ({"weights": "w", "gain": "loud"}, r"engine.gain must be a number, got 'loud'"),
        ({"weights": "w", "gain": True}, r"engine.gain must be a number, got True"),
        ({"weights": "w", "loud": 1}, r"engine.loud must be bool, got 1"),
        ({"weights": "w", "device": "tpu"}, r"engine.device must be one of cpu, cuda, got 'tpu'"),
        ({"weights": "w", "context": "all"}, r"engine.context must be int, got 'all'"),
        ({"weights": "w", "pace": 1.5}, r"engine.pace must be int, got 1.5"),
        ({"weights": "w", "tags": "ab"}, r"engine.tags must be a list, got 'ab'"),
        ({"weights": "w", "tags": ["a", 1]}, r"engine.tags must be str, got 1"),
        ({"weights": "w", "voice": "heart"}, r"engine.voice must be a table, got 'heart'"),
        ({"weights": "w", "voice": {"pitch": 1}}, r"\[engine.voice\] has no key 'pitch'; valid keys: name, speed"),
        ({"weights": "w", "voices": [{"pitch": 1}]}, r"\[engine.voices\] has no key 'pitch'"),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(Engine, values, "engine")


def test_toml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "duplex.toml"
    path.write_text('[native]\ncheckpoint = "nano"\n')
    assert read_toml(path) == {"native": {"checkpoint": "nano"}}


@pytest.mark.parametrize("content", [None, b"[native\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "duplex.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"duplex\.toml: (no such file|not TOML)"):
        read_toml(path)


def test_flags_become_tables():
    pairs = ["vad.stop_ms=300", "voice=heart", "seats=2", "deep.er.on=true", "text=a = b", 'quoted="x"', "empty="]
    assert from_flags(pairs) == {
        "vad": {"stop_ms": 300},
        "voice": "heart",
        "seats": 2,
        "deep": {"er": {"on": True}},
        "text": "a = b",
        "quoted": "x",
        "empty": "",
    }


@pytest.mark.parametrize("bad", [["seats"], ["seats=1", "seats=2"], ["=1"], ["a=1", "a.b=2"]])
def test_flags_that_are_no_settings(bad):
    with pytest.raises(ConfigError):
        from_flags(bad)
