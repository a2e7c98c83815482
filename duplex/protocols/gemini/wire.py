"""/ws/google.ai.generativelanguage.VERSION.GenerativeService.BidiGenerateContent: the serving side."""

from __future__ import annotations

from collections.abc import Iterable

from google.genai import types

from duplex.frame import Frame
from duplex.notes import Note, UseVoice
from duplex.protocols.gemini.answers import Answers
from duplex.protocols.gemini.ear import Ear
from duplex.protocols.gemini.fields import Table, has, parsed, table
from duplex.protocols.gemini.outgoing import ServerMessage, Usage, packed
from duplex.protocols.gemini.requests import Requests
from duplex.protocols.gemini.setup import Setup, setup_from
from duplex.protocols.sound import MAX_MESSAGE_S
from duplex.protocols.wire import BadMessage, Item, Message, Open
from duplex.session import Capabilities

_KINDS = "realtimeInput, clientContent, toolResponse, contextUpdate"


class GeminiWire:
    """One session. A mistake of the client closes the connection with the reason: the protocol has no other error."""

    def __init__(self, max_message_s: float = MAX_MESSAGE_S) -> None:
        self._max_message_s = max_message_s
        self._begin(Setup(Open("")))
        self._open = False

    def hello(self, can: Capabilities) -> list[Message]:
        """setupComplete, before anything else."""
        self._answers.usage = Usage(can.codebooks)
        told = [ServerMessage(setup_complete=types.LiveServerSetupComplete())]
        if self._setup.resumption:
            told.append(
                ServerMessage(session_resumption_update=types.LiveServerSessionResumptionUpdate(resumable=False))
            )
        return _packed(told)

    def receive(self, message: Message) -> list[Item]:
        values = parsed(message)
        return self._received(values) if self._open else self._opened(values)

    def lull(self) -> Frame:
        return self._requests.ear.lull()

    def declined(self, note: Note, reason: str) -> list[Message]:
        return _packed(self._answers.declined(note, reason))

    def send(self, said: Frame) -> list[Message]:
        return _packed(self._answers.told(said))

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        """Nothing: the reason goes with the close, where Google's SDKs look for it."""
        return []

    def _begin(self, setup: Setup) -> None:
        self._setup, self._answers = setup, Answers(setup)
        self._requests = Requests(setup, self._answers, Ear(self._max_message_s))

    def _opened(self, values: Table) -> list[Item]:
        if not has(values, "setup"):
            raise BadMessage("the first message must be a setup")
        self._begin(setup_from(table(values, "setup")))
        self._open = True
        voice: list[Item] = [UseVoice(self._setup.voice)] if self._setup.voice else []
        return [self._setup.wish, *voice]

    def _received(self, values: Table) -> list[Item]:
        takers = {
            "realtime_input": self._requests.realtime,
            "client_content": self._requests.content,
            "tool_response": self._requests.results,
            "context_update": self._requests.context,
        }
        known = [key for key in takers if has(values, key)]
        if has(values, "setup") or not known:
            raise BadMessage(f"after the setup a message must hold one of {_KINDS}")
        return [item for key in known for item in takers[key](table(values, key))]


def _packed(told: Iterable[ServerMessage]) -> list[Message]:
    return [packed(message) for message in told]
