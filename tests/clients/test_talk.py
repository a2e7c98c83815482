"""Talking with a recorded user, and with a sound card that the test plays."""

import asyncio
import sys
import threading
from types import ModuleType

import numpy as np
import pytest

from duplex.clients import load_wav, talk
from duplex.clients.talk import run_talk
from duplex.frame import FRAME_SAMPLES
from tests.clients.test_wav import written
from tests.server.site import chirp, site

NOBODY = {"url": "ws://127.0.0.1:1", "agent": "", "wire": "pcm", "input": None, "output": None, "key": None}


async def test_a_recorded_user_gets_a_reply_as_wav_and_text(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(talk, "TAIL_S", 0.64)
    wav = written(tmp_path / "user.wav", chirp(5)[:, None], 24_000)
    reply = tmp_path / "reply.wav"
    async with site() as here:
        call = {**NOBODY, "url": here.base, "agent": "scripted", "input": wav, "output": reply}
        assert await asyncio.to_thread(lambda: run_talk(**call)) == 0
    assert capsys.readouterr().out == "tone\n"
    heard = load_wav(reply)
    assert np.abs(heard[: 8 * FRAME_SAMPLES]).max() == 0 and np.abs(heard[9 * FRAME_SAMPLES :]).max() > 0.25


class Card(ModuleType):
    """A sound card: `recorded` comes in at the microphone, `played` is what reached the speaker."""

    def __init__(self, recorded: np.ndarray, done: threading.Event) -> None:
        super().__init__("sounddevice")
        self._recorded, self._done = recorded, done
        self.played: list[np.ndarray] = []

    def check_input_settings(self, **_: object) -> None: ...

    def Stream(self, rate: int, block: int, *, channels: int, dtype: str, callback) -> "Card":
        assert (rate, block, channels, dtype) == (24_000, FRAME_SAMPLES, 1, "float32")
        self._callback = callback
        return self

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        for tick in self._recorded.reshape(-1, FRAME_SAMPLES, 1):
            out = np.ones((FRAME_SAMPLES, 1), np.float32)
            self._callback(tick, out, FRAME_SAMPLES, None, None)
            self.played.append(out[:, 0])
            threading.Event().wait(0.02)
        self._done.set()


@pytest.mark.parametrize("keep", [True, False])
async def test_microphone_and_speaker(tmp_path, capsys, monkeypatch, keep):
    done, pcm, reply = threading.Event(), chirp(10), tmp_path / "reply.wav"
    card = Card(pcm, done)
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    async with site() as here:
        call = {**NOBODY, "url": here.base, "agent": "echo", "output": reply if keep else None}
        talking = asyncio.create_task(asyncio.to_thread(lambda: run_talk(**call)))
        await asyncio.to_thread(done.wait)
        await here.house.drain(0.2)
        assert await talking == 2
    assert "the server is shutting down" in capsys.readouterr().err
    sounding = np.concatenate([tick for tick in card.played if tick.any()] or [np.zeros(1)])
    if keep:
        assert load_wav(reply) == pytest.approx(pcm, abs=1e-3) and not sounding.any()
    else:
        assert not reply.exists()
        assert sounding[:FRAME_SAMPLES] == pytest.approx(pcm[:FRAME_SAMPLES], abs=1e-3), (
            "the echo's first tick is played"
        )


def test_a_machine_without_sound_is_told_the_way_out(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert run_talk(**NOBODY) == 2
    assert "talk with a recorded user instead: --input user.wav --output reply.wav" in capsys.readouterr().err


def test_a_card_that_cannot_record_is_told_too(capsys, monkeypatch):
    card = Card(chirp(1), threading.Event())

    def refuse(**_: object) -> None:
        raise RuntimeError("Invalid sample rate")

    card.check_input_settings = refuse  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    assert run_talk(**NOBODY) == 2
    assert "no microphone that records 24 kHz here (Invalid sample rate)" in capsys.readouterr().err


def test_errors_are_lines_for_people(tmp_path, capsys):
    (tmp_path / "no.wav").write_text("not sound")
    wav = written(tmp_path / "a.wav", np.zeros((10, 1)), 24_000)
    for call, reason in (
        ({"input": tmp_path / "no.wav"}, "not a WAV file"),
        ({"input": wav}, "start one with: duplex serve"),
        ({"input": wav, "wire": "tokens"}, "use --wire chat or --wire pcm"),
    ):
        assert run_talk(**{**NOBODY, **call}) == 2
        assert reason in capsys.readouterr().err
