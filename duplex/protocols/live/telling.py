"""What a client of GPT-Live is told of each tick of the agent."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from duplex.events import Answered, Failed, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_MS, FRAME_SECONDS, TICK_HZ, Event, Frame
from duplex.notes import TurnTaking
from duplex.protocols.live.events import Teller
from duplex.protocols.live.sound import Gate, Line
from duplex.protocols.live.times import UserTurns
from duplex.protocols.live.work import ClientWork, Told, ToolWork
from duplex.protocols.wire import Message, as_json
from duplex.session import Capabilities

USAGE_TICKS = round(10 * TICK_HZ)  # between two reports
CONTEXT_TICKS = 3_000  # what an agent like Moshi remembers: four minutes


class Telling:
    """One session, seen from the agent's side."""

    def __init__(self, work: ClientWork | ToolWork, line: Line, teller: Teller, can: Capabilities) -> None:
        self._work, self._line, self._teller = work, line, teller
        self._gate, self._turns = Gate(told=TurnTaking in can.notes), UserTurns()
        self._heard_any = False

    def send(self, said: Frame) -> list[Message]:
        """What happened, what was said, how it sounds, and now and then how much has been used."""
        span = {"start_ms": said.t * FRAME_MS, "end_ms": (said.t + 1) * FRAME_MS}
        pcm = self._gate.push(said)
        told = [told for event in said.events for told in self._of(event, span["end_ms"])]
        if not self._gate.open:
            told += self._work.over()
        if said.text:
            told.append(("session.output_transcript.delta", {"delta": said.text, **span}))
        sound = base64.b64encode(self._line.pack(pcm)).decode()
        messages = [self._teller.tell(kind, **values) for kind, values in told]
        messages.append(as_json("session.output_audio.delta", delta=sound, **span))
        return [*messages, self._usage(said.t + 1)] if (said.t + 1) % USAGE_TICKS == 0 else messages

    def _of(self, event: Event, now_ms: int) -> Iterator[Told]:
        if isinstance(event, (SpeechStarted, SpeechStopped)):
            self._turns.hear(event)
        elif isinstance(event, Transcript) and event.text:
            yield "session.input_transcript.delta", self._heard(event.text, now_ms)
        elif isinstance(event, ToolCall):
            yield from self._work.call(event, now_ms)
        elif isinstance(event, Answered):
            yield from self._work.over()
        elif isinstance(event, Failed):
            yield "info", {"code": f"{event.stage}_failed", "message": event.reason}

    def _heard(self, text: str, now_ms: int) -> dict[str, str | int]:
        """Clients join the fragments as they are, so that each but the first brings its own space."""
        start_ms, end_ms = self._turns.take(now_ms)
        spaced = text if text[0].isspace() or not self._heard_any else f" {text}"
        self._heard_any = True
        return {"delta": spaced, "start_ms": start_ms, "end_ms": end_ms}

    def _usage(self, ticks: int) -> Message:
        window = {"usage_ratio": min(1.0, ticks / CONTEXT_TICKS)}
        return self._teller.tell(
            "session.usage.updated", usage={"seconds": ticks * FRAME_SECONDS}, context_window=window
        )
