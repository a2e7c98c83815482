"""Which answer is being given, which is asked for, and what becomes of either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from duplex.events import Failed, ToolCall
from duplex.frame import Frame
from duplex.notes import Hush, Respond
from duplex.protocols.realtime.account import Account
from duplex.protocols.realtime.answer import Answer, Wanted
from duplex.protocols.realtime.conversation import Conversation
from duplex.protocols.realtime.messages import Event, Messages, Wrong
from duplex.protocols.realtime.settings import Settings
from duplex.protocols.wire import Message

_PATIENCE_TICKS = 25  # after which an agent that does not begin to answer may be asked again


class _Pending(NamedTuple):
    wanted: Wanted
    since: int  # tick


class Responses:
    """At most one answer at a time, as the protocol has it."""

    def __init__(self, messages: Messages, conversation: Conversation, account: Callable[[], Account]) -> None:
        self._messages, self._conversation, self._account = messages, conversation, account
        self._answer: Answer | None = None
        self._pending: _Pending | None = None
        self._failed: Failed | None = None  # the last thing that went wrong in the answer
        self._t = 0

    def create(self, event: Event) -> Respond:
        """A response.create. Raises Wrong, also when an answer is being given already."""
        asked = event.get("response") or {}
        if not isinstance(asked, dict):
            raise Wrong("response must be an object", param="response")
        wanted, persona = _wanted(asked), asked.get("instructions") or ""
        if not isinstance(persona, str):
            raise Wrong("response.instructions must be a string", param="response.instructions")
        if self._answer or (self._pending and self._t - self._pending.since < _PATIENCE_TICKS):
            name = f": {self._answer.id}" if self._answer else ""
            raise Wrong(
                f"Conversation already has an active response in progress{name}. Wait until it is finished.",
                code="conversation_already_has_active_response",
            )
        self._pending = _Pending(wanted, self._t)
        return Respond(persona)

    def cancel(self, event: Event) -> Hush:
        """A response.cancel. Raises Wrong when there is nothing to cancel."""
        named = event.get("response_id")
        active = self._answer is not None and named in (None, self._answer.id)
        if not active and not (self._pending and named is None):
            raise Wrong("Cancellation failed: no active response found", code="response_cancel_not_active")
        return Hush()

    def begun(self, settings: Settings) -> list[Message]:
        """The agent begins an answer."""
        out = self.over("completed")
        pending, self._pending, self._failed = self._pending, None, None
        wanted = pending.wanted if pending else Wanted()
        self._answer = Answer(self._messages, self._conversation, settings, wanted, self._account())
        return [*out, *self._answer.created()]

    def heard(self, said: Frame, cut: bool) -> list[Message]:
        """One tick of it, as far as there is an answer; `cut`: it was broken off in this tick, and is not played."""
        self._t = said.t
        return self._answer.sound(said) if self._answer and not cut else []

    def call(self, call: ToolCall, settings: Settings) -> list[Message]:
        out = [] if self._answer else self.begun(settings)
        assert self._answer
        return [*out, *self._answer.call(call)]

    def over(self, why: str) -> list[Message]:
        """The answer that is being given is over."""
        answer, self._answer = self._answer, None
        return answer.done(why, self._failed) if answer else []

    def failed(self, failed: Failed) -> None:
        """Why the answer will fail, if it does."""
        self._failed = failed

    def declined(self, reason: str, settings: Settings) -> list[Message]:
        """The agent does not answer when asked to: the response fails as soon as it is made."""
        if self._answer:
            return []
        out = self.begun(settings)
        self._failed = Failed("unsupported", reason)
        return [*out, *self.over("failed")]


def _wanted(asked: dict[str, Any]) -> Wanted:
    if asked.get("conversation") not in (None, "auto"):
        raise Wrong(
            "every response belongs to the conversation here", code="unsupported", param="response.conversation"
        )
    if asked.get("input"):
        raise Wrong(
            "put items into the conversation with conversation.item.create", code="unsupported", param="response.input"
        )
    return Wanted(_modality(asked), _metadata(asked.get("metadata")), _limit(asked.get("max_output_tokens")))


def _modality(asked: dict[str, Any]) -> str | None:
    given = asked.get("output_modalities", asked.get("modalities"))
    if given is None:
        return None
    if not isinstance(given, list) or not given or any(name not in ("audio", "text") for name in given):
        raise Wrong('output_modalities must be ["audio"] or ["text"]', param="response.output_modalities")
    return "audio" if "audio" in given else "text"


def _metadata(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise Wrong("response.metadata must be an object of strings", param="response.metadata")
    return given


def _limit(given: Any) -> int | str | None:
    if given is None or given == "inf" or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    raise Wrong("max_output_tokens must be a whole number or 'inf'", param="response.max_output_tokens")
