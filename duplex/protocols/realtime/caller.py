"""The calling side: a user's ticks to appends, a server's events to sound and what goes with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duplex.events import Answered, Answering, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import SAMPLE_RATE, Event, Frame
from duplex.protocols.realtime.messages import Wrong, parsed
from duplex.protocols.realtime.sound import packed, unpacked
from duplex.protocols.sound import PCM, Decoder, Encoder
from duplex.protocols.wire import Aside, BadMessage, Hushed, Message, Ready, Refused, Sound, Told

_WHY = {"turn_detected": "interrupted", "client_cancelled": "cancelled"}


class RealtimeCaller:
    """PCM at 24 kHz both ways. `session` is asked for with the first tick; None: the server's own."""

    def __init__(self, session: Mapping[str, Any] | None = None) -> None:
        self._session = session
        self._encoder = Encoder(PCM)
        self._decoder = Decoder(PCM)
        self._t = 0  # of the next tick that is said
        self._read: Mapping[str, Callable[[dict[str, Any]], Sequence[Told]]] = {
            "session.created": lambda event: [Ready(_table(event, "session"))],
            "error": lambda event: [Refused(str(_table(event, "error").get("message", "no reason given")))],
            "response.output_audio.delta": self._sound,
            "response.output_audio_transcript.delta": lambda event: [self._aside(text=_word(event, "delta"))],
            "response.output_text.delta": lambda event: [self._aside(text=_word(event, "delta"))],
            "input_audio_buffer.speech_started": self._interrupted,
            "input_audio_buffer.speech_stopped": self._stopped,
            "conversation.item.input_audio_transcription.completed": lambda event: [
                self._aside(Transcript(_word(event, "transcript")))
            ],
            "response.created": lambda event: [self._aside(Answering())],
            "response.function_call_arguments.done": lambda event: [
                self._aside(ToolCall(_word(event, "call_id"), _word(event, "name"), _word(event, "arguments")))
            ],
            "response.done": self._done,
        }

    def hello(self) -> list[Message]:
        return []

    def say(self, heard: Frame) -> list[Message]:
        if heard.pcm is None:
            raise ValueError(f"Realtime carries pcm, but frame {heard.t} holds none")
        out: list[Message] = []
        if self._t == 0 and self._session is not None:
            out.append(json.dumps({"type": "session.update", "session": {"type": "realtime", **self._session}}))
        self._t += 1
        return [*out, json.dumps({"type": "input_audio_buffer.append", "audio": packed(self._encoder.push(heard.pcm))})]

    def receive(self, message: Message) -> Sequence[Told]:
        """Events that this client has no use for are dropped. An Aside's tick is that of the user's sound."""
        try:
            event = parsed(message)
            read = self._read.get(event["type"])
            return read(event) if read else []
        except Wrong as wrong:
            raise BadMessage(str(wrong)) from None

    def _sound(self, event: dict[str, Any]) -> Sequence[Told]:
        return [Sound(self._decoder.push(unpacked(_word(event, "delta"))))]

    def _interrupted(self, event: dict[str, Any]) -> Sequence[Told]:
        """Clients stop playing as soon as they hear of it."""
        return [Hushed(), self._aside(SpeechStarted(_sample(event, "audio_start_ms")))]

    def _stopped(self, event: dict[str, Any]) -> Sequence[Told]:
        return [self._aside(SpeechStopped(_sample(event, "audio_end_ms")))]

    def _done(self, event: dict[str, Any]) -> Sequence[Told]:
        response = _table(event, "response")
        details = response.get("status_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        why = _WHY.get(str(reason), str(response.get("status")))
        self._decoder = Decoder(PCM)
        return [*([Hushed()] if why == "cancelled" else []), self._aside(Answered(why))]

    def _aside(self, *events: Event, text: str = "") -> Aside:
        return Aside(max(0, self._t - 1), text, events)


def _word(event: dict[str, Any], name: str) -> str:
    if not isinstance(value := event.get(name), str):
        raise BadMessage(f"{event['type']} needs {name!r}, a string")
    return value


def _sample(event: dict[str, Any], name: str) -> int:
    if not isinstance(at_ms := event.get(name), int):
        raise BadMessage(f"{event['type']} needs {name!r}, whole milliseconds")
    return at_ms * SAMPLE_RATE // 1000


def _table(event: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(value := event.get(name), dict):
        raise BadMessage(f"{event['type']} needs {name!r}, an object")
    return value
