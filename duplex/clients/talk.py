"""Talk to an agent as a person: microphone and speaker, or a recorded user and a file for the reply.

No echo cancellation: with a loudspeaker the agent hears itself, so use headphones.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sphn

from duplex.clients.call import WIRES, Call, CallFailed, dial
from duplex.clients.replay import replay
from duplex.clients.wav import load_wav
from duplex.compat import TaskGroup
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame
from duplex.protocols.wire import Aside
from duplex.recording import Recording

TAIL_S = 8.0  # how long a recorded user goes on listening
_LATE_TICKS = 4  # the speaker drops what is older than this, so that the lag of a hiccup does not stay


def run_talk(*, url: str, agent: str, wire: str, input: Path | None, output: Path | None, key: str | None) -> int:
    """Talk until the server or Ctrl-C ends it, or TAIL_S after the end of `input`; print the agent's words.

    Returns 0, or 2 after an error that the user can mend.
    """
    try:
        if wire == "tokens":
            raise CallFailed("talk carries sound: use --wire chat or --wire pcm")
        if input:
            asyncio.run(_play(url, agent, wire, load_wav(input), output, key))
        else:
            _converse(url, agent, wire, output, key)
    except (OSError, ValueError) as error:
        print(f"\ntalk: {error}", file=sys.stderr)
        return 2
    print()
    return 0


def _show(text: str) -> None:
    print(text, end="", flush=True)


async def _play(url: str, agent: str, wire: str, pcm: np.ndarray, output: Path | None, key: str | None) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "talk"
        await replay(url, pcm, path, wire=wire, agent=agent, tail_s=TAIL_S, key=key, on_text=_show)
        if output:
            sphn.write_wav(str(output), Recording.open(path).agent, SAMPLE_RATE)


def _converse(url: str, agent: str, wire: str, output: Path | None, key: str | None) -> None:
    if wire in WIRES and WIRES[wire].played:
        raise OSError(f"over {wire!r} talk with a recorded user: --input user.wav; by microphone over chat or pcm")
    phone = _Phone(_sound(), keep=output is not None)
    try:
        asyncio.run(phone.call(url, agent, wire, key))
    except KeyboardInterrupt:
        pass
    finally:
        if output and phone.reply:
            sphn.write_wav(str(output), np.concatenate(phone.reply), SAMPLE_RATE)


def _sound() -> Any:
    """The sounddevice module, on a machine that has devices. Raises OSError with the way out."""
    way_out = "talk with a recorded user instead: --input user.wav --output reply.wav"
    try:
        import sounddevice

        sounddevice.check_input_settings(samplerate=SAMPLE_RATE, channels=1, dtype="float32")
    except (ImportError, OSError) as error:
        raise OSError(f"no PortAudio library here ({error}); {way_out}") from None
    except Exception as error:  # sounddevice.PortAudioError, which cannot be named before the import
        raise OSError(f"no microphone that records 24 kHz here ({error}); {way_out}") from None
    return sounddevice


class _Phone:
    """Microphone and speaker, called back by PortAudio's own thread every 80 ms."""

    def __init__(self, sound: Any, keep: bool) -> None:
        self._sound, self._keep = sound, keep
        self._speaker: deque[np.ndarray] = deque(maxlen=_LATE_TICKS)
        self.reply: list[np.ndarray] = []  # what the agent said, where it is to be kept instead of played

    async def call(self, url: str, agent: str, wire: str, key: str | None) -> None:
        """Until the server hangs up: raises CallFailed."""
        loop, microphone = asyncio.get_running_loop(), asyncio.Queue[np.ndarray]()

        def tick(recorded: np.ndarray, played: np.ndarray, *_: object) -> None:
            loop.call_soon_threadsafe(microphone.put_nowait, recorded[:, 0].copy())
            played[:, 0] = self._speaker.popleft() if self._speaker else 0

        async with dial(url, wire=wire, agent=agent, key=key) as call:
            print("talk now; Ctrl-C ends it", file=sys.stderr)
            with self._sound.Stream(SAMPLE_RATE, FRAME_SAMPLES, channels=1, dtype="float32", callback=tick):
                failure = None
                async with TaskGroup() as tasks:
                    speaking = tasks.create_task(_speak(call, microphone))
                    try:
                        await self._listen(call)
                    except CallFailed as error:
                        failure = error
                    speaking.cancel()
                raise failure or CallFailed("the call is over")

    async def _listen(self, call: Call) -> None:
        while True:
            item = await call.hear()
            if isinstance(item, Aside):
                _show(item.text)
            elif isinstance(item, Frame) and item.pcm is not None:
                (self.reply if self._keep else self._speaker).append(item.pcm)


async def _speak(call: Call, microphone: asyncio.Queue[np.ndarray]) -> None:
    t = 0
    while await call.say(Frame(t, await microphone.get())):
        t += 1
