"""What a client asks for in `session.start`, and the session as it is told back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openai.types.live import SessionConfig, SessionUpdateConfig

from duplex.notes import Instruct, Note, Remember, UseVoice
from duplex.protocols.live.mistake import Mistake
from duplex.protocols.live.sound import format_of
from duplex.protocols.live.work import work_of
from duplex.protocols.sound import Form

MAX_HISTORY = 128  # messages
_NEVER = 4_102_444_800  # seconds since 1970, in the year 2100: sessions here do not expire


class Settings:
    """One session, as it was asked for and is now."""

    def __init__(self, asked: SessionConfig, session_id: str) -> None:
        """Raises Mistake."""
        self._asked, self._id = asked, session_id
        self.model = asked.model
        self.form: Form = _format(asked)
        self.voice = _voice(asked)
        self.work = work_of(asked.delegation)
        if asked.triggers:
            raise Mistake("triggers need decisions, which are not served here", "unsupported", "session.triggers")
        if len(asked.input or []) > MAX_HISTORY:
            raise Mistake(f"input may hold {MAX_HISTORY} messages, got {len(asked.input or [])}", param="session.input")

    @property
    def persona(self) -> str:
        """What the agent is told: here it is also the second model that `responses` would have."""
        return "\n\n".join(text for text in (self._asked.instructions or "", self.work.instructions) if text.strip())

    def notes(self) -> Iterator[Note]:
        """What the agent must know before it hears anything; what it cannot take is told to the client."""
        if self.persona:
            yield Instruct(self.persona)
        if self.voice:
            yield UseVoice(self.voice)
        if self.work.tools.tools:
            yield self.work.tools
        for item in self._asked.input or []:
            role = "system" if item.role == "developer" else item.role
            yield Remember(role, text_of(item.content))

    def update(self, asked: SessionUpdateConfig) -> list[Note]:
        """The `session` of a session.update -> what the agent must know of it. Raises Mistake."""
        if fixed := sorted(asked.model_fields_set - {"delegation", "triggers"}):
            raise Mistake(f"{', '.join(fixed)} cannot change in a session", "immutable", f"session.{fixed[0]}")
        if asked.triggers:
            raise Mistake("triggers need decisions, which are not served here", "unsupported", "session.triggers")
        if asked.delegation is None:
            return []
        if asked.delegation.type != self.work.target:
            message = f"delegation is {self.work.target} in this session and cannot change"
            raise Mistake(message, "immutable", "session.delegation.type")
        persona, tools = self.persona, self.work.tools
        self.work.update(asked.delegation)
        told = [Instruct(self.persona)] if self.persona != persona else []
        return [*told, self.work.tools] if self.work.tools != tools else [*told]

    def described(self) -> dict[str, Any]:
        """The session, as the events tell it."""
        audio: dict[str, Any] = {"format": {"type": self.form.kind, "rate": self.form.rate_hz}}
        if self.voice:
            audio["output"] = {"voice": self.voice}
        about = {"id": self._id, "model": self.model, "status": "active", "expires_at": _NEVER, "audio": audio}
        persona = {"instructions": self._asked.instructions} if self._asked.instructions else {}
        return about | persona | {"delegation": self.work.described}


def text_of(content: Any) -> str:
    """Text, or the texts of a message's parts."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") if isinstance(part, dict) else getattr(part, "text", None) for part in content)
    return "\n".join(text for text in texts if isinstance(text, str))


def _format(asked: SessionConfig) -> Form:
    form = asked.audio.format if asked.audio else None
    return format_of(form.type, form.rate) if form else format_of("audio/pcm", None)


def _voice(asked: SessionConfig) -> str:
    voice = asked.audio.output.voice if asked.audio and asked.audio.output else None
    return voice if isinstance(voice, str) else voice.id if voice else ""
