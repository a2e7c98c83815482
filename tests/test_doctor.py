"""The doctor's judgement, on machines that we do not have."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from duplex import doctor
from duplex.checkpoint import manifest
from duplex.doctor import Gpu, Machine, absence, audio_words, parse_gpus, probe, runs

LAPTOP = Machine(cores=2, memory_gb=8.0, gpus=(), audio="")
H100 = Gpu("NVIDIA H100 80GB HBM3", 85.5)


@pytest.mark.parametrize(
    ("name", "gpus", "verdict"),
    [
        ("nano", (), "yes, on the CPU"),
        ("smollm2-135m", (H100,), "yes, on the CPU"),
        ("moshiko", (), "no: needs an NVIDIA GPU with 18 GB"),
        ("moshiko", (Gpu("RTX 3060", 12.9),), "no: needs 18 GB, RTX 3060 has 13"),
        ("moshiko-q8", (Gpu("RTX 3060", 12.9),), "yes, on RTX 3060: memory for 1 conversation"),
        ("moshiko", (Gpu("L4", 19.6),), "yes, on L4: memory for 2 conversations"),
        ("moshiko", (Gpu("RTX 3060", 12.9), H100), f"yes, on {H100.name}: memory for 43 conversations"),
    ],
)
def test_does_it_fit(name: str, gpus: tuple[Gpu, ...], verdict: str) -> None:
    assert runs(manifest()[name], replace(LAPTOP, gpus=gpus)) == verdict


def test_one_more_conversation_needs_its_whole_cache() -> None:
    entry = manifest()["moshiko"]
    assert entry.gpu_gb is not None
    for sessions in (1, 2, 10):
        just_enough = entry.gpu_gb + (sessions - 1) * doctor.SESSION_GB + 0.001
        verdict = runs(entry, replace(LAPTOP, gpus=(Gpu("card", just_enough),)))
        assert verdict.split("memory for ")[1].split()[0] == str(sessions)


def test_missing_files_are_counted_and_a_gate_is_named() -> None:
    entries = manifest()
    assert absence(entries["moshiko"], [Path("a"), Path("b")]) == "2 of 4 missing"
    assert absence(entries["personaplex"], [Path("a")]) == "1 of 4 missing; gated: accept its licence, set HF_TOKEN"
    assert absence(entries["j-moshi"], [Path("a")]) == "1 of 3 missing", "an optional file is not counted"


@pytest.mark.parametrize(
    ("csv", "gpus"),
    [
        ("", []),
        ("NVIDIA GeForce RTX 4090, 24564\n", [("NVIDIA GeForce RTX 4090", 25.76)]),
        ("A, B, 1024\nC, 2048\n", [("A, B", 1.07), ("C", 2.15)]),
        ("NVIDIA GB10, [N/A]\n", []),
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", []),
    ],
)
def test_what_nvidia_smi_prints(csv: str, gpus: list[tuple[str, float]]) -> None:
    assert [(gpu.name, round(gpu.memory_gb, 2)) for gpu in parse_gpus(csv)] == gpus


def test_sound_in_words() -> None:
    assert audio_words(1, 2) == "1 in, 2 out: duplex talk works"
    assert audio_words(0, 1).startswith("no microphone: use duplex talk --input")
    assert audio_words(0, 0).startswith("no microphone and no loudspeaker: ")


def test_probing_finds_at_least_a_cpu_and_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no nvidia-smi
    machine = probe()
    assert machine.cores >= 1 and machine.gpus == () and machine.audio
    assert machine.memory_gb is None or machine.memory_gb > 0.1


def test_missing_portaudio_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken()])
    assert "apt install libportaudio2" in doctor._audio()


def test_a_damaged_checkpoint_is_reported_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path))
    path = manifest()["mimi"].place("mimi")
    path.parent.mkdir()
    path.write_bytes(b"half a file")
    assert doctor._files(manifest()["mimi"]).startswith(f"damaged: {path}: not a safetensors file")
