"""The calling side of Gemini Live, in plain JSON: for our own clients, which want sound and its words."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from duplex.events import Answered, ToolCall, Transcript
from duplex.frame import SAMPLE_RATE, Event, Frame
from duplex.protocols.gemini.fields import Table, binary, flag, has, parsed, table, tables, words
from duplex.protocols.sound import Encoder, decode_s16, pcm_at
from duplex.protocols.wire import Aside, BadMessage, Hushed, Message, Ready, Sound, Told

SEND_HZ = 16_000  # what Google's own server hears


class GeminiCaller:
    """One session. The client speaks first: `hello` before anything is received."""

    def __init__(self, model: str = "", persona: str = "", voice: str = "") -> None:
        self._model, self._persona, self._voice = model, persona, voice
        self._encoder = Encoder(pcm_at(SEND_HZ))
        self._t = -1  # the tick that was said last
        self._cut = False  # the turn that is open was interrupted

    def hello(self) -> list[Message]:
        """The setup: answers by voice, with the words of both sides."""
        generation: Table = {"responseModalities": ["AUDIO"]}
        if self._voice:
            generation["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": self._voice}}}
        setup: Table = {"model": f"models/{self._model}", "generationConfig": generation}
        if self._persona:
            setup["systemInstruction"] = {"parts": [{"text": self._persona}]}
        return [_packed(setup=setup | {"inputAudioTranscription": {}, "outputAudioTranscription": {}})]

    def say(self, heard: Frame) -> list[Message]:
        """One tick of the user. Raises ValueError when the frame holds no pcm."""
        if heard.pcm is None:
            raise ValueError(f"Gemini Live carries pcm, but frame {heard.t} holds none")
        self._t = heard.t
        data = b64encode(self._encoder.push(heard.pcm)).decode()
        return [_packed(realtimeInput={"audio": {"data": data, "mimeType": f"audio/pcm;rate={SEND_HZ}"}})]

    def receive(self, message: Message) -> Sequence[Told]:
        """One message. Words and events go with the user's tick that was said last. Raises BadMessage."""
        values = parsed(message)
        ready: list[Told] = [Ready(table(values, "setup_complete"))] if has(values, "setup_complete") else []
        calls = [_call(call) for call in tables(table(values, "tool_call"), "function_calls")]
        asked = [self._aside(events=tuple(calls))] if calls else []
        return [*ready, *self._content(table(values, "server_content")), *asked]

    def _content(self, content: Table) -> list[Told]:
        found: list[Told] = []
        if text := words(table(content, "input_transcription"), "text"):
            found.append(self._aside(events=(Transcript(text),)))
        if flag(content, "interrupted"):
            self._cut = True
            found.append(Hushed())
        if text := words(table(content, "output_transcription"), "text"):
            found.append(self._aside(text))
        found += [sound for part in tables(table(content, "model_turn"), "parts") if (sound := _sound(part))]
        if flag(content, "turn_complete"):
            found.append(self._aside(events=(Answered("interrupted" if self._cut else "completed"),)))
            self._cut = False
        return found

    def _aside(self, text: str = "", events: tuple[Event, ...] = ()) -> Aside:
        return Aside(max(0, self._t), text, events)


def _packed(**message: Any) -> str:
    return json.dumps(message, separators=(",", ":"))


def _call(call: Table) -> ToolCall:
    return ToolCall(words(call, "id"), words(call, "name"), json.dumps(table(call, "args")))


def _sound(part: Table) -> Sound | None:
    blob = table(part, "inline_data")
    mime = words(blob, "mime_type").lower().replace(" ", "")
    if not mime.startswith("audio/pcm"):
        return None
    if mime not in ("audio/pcm", f"audio/pcm;rate={SAMPLE_RATE}"):
        raise BadMessage(f"a Gemini server speaks at {SAMPLE_RATE} Hz, got {mime[:60]!r}")
    data = binary(blob)
    if len(data) % 2:
        raise BadMessage(f"16-bit samples take an even number of bytes, got {len(data)}")
    return Sound(decode_s16(data))
