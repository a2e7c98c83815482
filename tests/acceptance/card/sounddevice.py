"""A sound card of WAV files in place of PortAudio's module: CARD_SAID is the microphone, CARD_BOTH keeps both sides.

One thread is the card's clock: it calls both streams back, and ends the program when everything has been said.
"""

import os
import threading
import time
import wave

import numpy as np

_playing: list = []


class RawOutputStream:
    """The loudspeaker."""

    def __init__(self, samplerate: int, blocksize: int, channels: int, dtype: str, callback) -> None:
        assert (channels, dtype) == (1, "int16")
        self.callback = callback

    def __enter__(self) -> "RawOutputStream":
        _playing.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _playing.remove(self)


class RawInputStream:
    """The microphone."""

    def __init__(self, samplerate: int, blocksize: int, channels: int, dtype: str, callback) -> None:
        assert (channels, dtype) == (1, "int16")
        self._hz, self._block, self._callback = samplerate, blocksize, callback

    def __enter__(self) -> "RawInputStream":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None: ...

    def _run(self) -> None:
        with wave.open(os.environ["CARD_SAID"]) as file:
            said = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        both, began_s = [], time.monotonic()
        for at in range(0, len(said) - self._block + 1, self._block):
            time.sleep(max(0.0, began_s + (at + self._block) / self._hz - time.monotonic()))
            block = said[at : at + self._block]
            self._callback(block.tobytes(), self._block, None, None)
            played = bytearray(2 * self._block)
            for stream in _playing:
                stream.callback(memoryview(played), self._block, None, None)
            both.append(np.stack([block, np.frombuffer(played, "<i2")], axis=1))
        with wave.open(os.environ["CARD_BOTH"], "wb") as file:
            file.setparams((2, 2, self._hz, 0, "NONE", ""))
            file.writeframes(np.concatenate(both).tobytes())
        os._exit(0)
