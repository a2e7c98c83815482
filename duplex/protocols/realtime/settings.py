"""What is in force in a session: its settings, how they are shown, and what they mean to an agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from duplex.notes import Instruct, Note, TurnTaking, UseTools, UseVoice
from duplex.protocols.realtime.messages import Wrong
from duplex.session import Capabilities

Rules = Mapping[str, Any]  # a turn_detection object
SERVER_VAD: Rules = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD: Rules = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
WAIT_MS = {"low": 8_000, "medium": 4_000, "auto": 4_000, "high": 2_000}  # eagerness -> for a sentence to be finished

# Note -> the fields of Settings that stand for it.
STANDS_FOR: Mapping[type[Note], tuple[str, ...]] = {
    Instruct: ("instructions",),
    UseVoice: ("voice",),
    UseTools: ("tools", "tool_choice"),
    TurnTaking: ("turn_detection",),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force."""

    model: str = ""
    voice: str = ""  # "": the agent's own
    instructions: str = ""
    modality: str = "audio"  # audio (and its transcript) | text
    heard_form: str = "audio/pcm"
    said_form: str = "audio/pcm"
    transcription: Mapping[str, Any] | None = None
    turn_detection: Rules | None = field(default_factory=lambda: SERVER_VAD)  # None: push to talk
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] = "auto"
    max_output_tokens: int | str = "inf"

    def shown(self, unsupported: Iterable[str] = ()) -> dict[str, Any]:
        """The session object; what is not in force is in `unsupported`, our own field, one reason each."""
        heard = {"noise_reduction": None, "turn_detection": self.turn_detection and dict(self.turn_detection)}
        heard = {"format": form_of(self.heard_form), "transcription": self.transcription, **heard}
        said = {"format": form_of(self.said_form), "voice": self.voice or None, "speed": 1.0}
        session = {
            "type": "realtime",
            "object": "realtime.session",
            "model": self.model,
            "output_modalities": [self.modality],
            "instructions": self.instructions,
            "audio": {"input": heard, "output": said},
            "tools": [dict(tool) for tool in self.tools],
            "tool_choice": self.tool_choice,
            "max_output_tokens": self.max_output_tokens,
        }
        return session | ({"unsupported": list(unsupported)} if unsupported else {})


def first_settings(model: str, can: Capabilities) -> Settings:
    """Before the client has asked for anything."""
    return Settings(model=model or can.model or can.name)


def form_of(form: str) -> dict[str, Any]:
    """The format object of one of FORMS."""
    return {"type": form, "rate": 24_000} if form == "audio/pcm" else {"type": form}


def taking(rules: Rules | None) -> TurnTaking:
    """A turn_detection as the agent understands it. Raises Wrong."""
    if rules is None:
        return TurnTaking(detect=False)
    follow = {"respond": rules["create_response"], "interrupt": rules["interrupt_response"]}
    if rules["type"] == "semantic_vad":
        return TurnTaking(wait_ms=float(WAIT_MS[rules["eagerness"]]), **follow)
    try:
        return TurnTaking(threshold=rules["threshold"], stop_ms=rules["silence_duration_ms"], **follow)
    except ValueError as error:
        message = str(error).replace("stop_ms", "silence_duration_ms")
        raise Wrong(message, param="session.audio.input.turn_detection") from None
