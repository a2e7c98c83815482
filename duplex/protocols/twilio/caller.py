"""Twilio's own side of a media stream, as its documentation has it: numbers are strings but for the media format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from duplex.protocols.twilio.messages import ENCODING, PHONE_HZ, payload, read
from duplex.protocols.wire import BadMessage, Message

CHUNK_MS = 20
CHUNK_SAMPLES = PHONE_HZ * CHUNK_MS // 1000

STREAM = "MZ" + "5" * 32
_ACCOUNT, _CALL = "AC" + "5" * 32, "CA" + "5" * 32


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """To be played after all that came before."""

    pcm: np.ndarray  # float32 [n] at 8 kHz


@dataclass(frozen=True, slots=True)
class Mark:
    """To be returned when all that came before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Nothing that has not been played yet shall be."""


class TwilioCaller:
    """One call's messages, in the order in which Twilio numbers them."""

    def __init__(self, stream: str = STREAM) -> None:
        self._stream = stream
        self._number = self._chunk = 0

    def begin(self, parameters: Mapping[str, str] | None = None) -> list[Message]:
        """The two messages that open a stream; `parameters` are those of the TwiML."""
        form = {"encoding": ENCODING, "sampleRate": PHONE_HZ, "channels": 1}
        ids = {"streamSid": self._stream, "accountSid": _ACCOUNT, "callSid": _CALL}
        start = {**ids, "tracks": ["inbound"], "customParameters": dict(parameters or {}), "mediaFormat": form}
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return [json.dumps(connected), self._write("start", start=start)]

    def say(self, pcm: np.ndarray) -> Message:
        """The next 20 ms, float32 [160] at 8 kHz. Raises ValueError for another length."""
        if pcm.shape != (CHUNK_SAMPLES,):
            raise ValueError(f"Twilio sends {CHUNK_SAMPLES} samples at a time, got {list(pcm.shape)}")
        self._chunk += 1
        at = {"chunk": str(self._chunk), "timestamp": str((self._chunk - 1) * CHUNK_MS)}
        return self._write("media", media={"track": "inbound", **at, "payload": payload(pcm)})

    def press(self, digit: str) -> Message:
        return self._write("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def passed(self, mark: str) -> Message:
        """What was sent before `mark` has been played, or cleared."""
        return self._write("mark", mark={"name": mark})

    def end(self) -> Message:
        return self._write("stop", stop={"accountSid": _ACCOUNT, "callSid": _CALL})

    def receive(self, message: Message) -> Media | Mark | Clear:
        """Raises BadMessage for what Twilio would not take."""
        event, fields = read(message)
        if (stream := fields.text("streamSid")) != self._stream:
            raise BadMessage(f"streamSid must be {self._stream!r}, got {stream!r}")
        if event == "media":
            return Media(fields.below("media").sound("payload"))
        if event == "mark":
            return Mark(fields.below("mark").text("name"))
        if event == "clear":
            return Clear()
        raise BadMessage(f"Twilio takes media, mark and clear, got {event!r}")

    def _write(self, event: str, **body: object) -> str:
        self._number += 1
        return json.dumps({"event": event, "sequenceNumber": str(self._number), "streamSid": self._stream, **body})
