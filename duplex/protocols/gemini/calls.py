"""Function calls that a Gemini client was asked to make, and what it brings back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from google.genai import types

from duplex.events import ToolCall
from duplex.notes import ToolResult
from duplex.protocols.gemini.fields import Table, flag, table, words
from duplex.protocols.gemini.outgoing import ServerMessage
from duplex.protocols.wire import BadMessage

MAX_PIECES, MAX_RESULT = 256, 1 << 20  # of one call's result; the latter in characters


class Calls:
    """The calls of one session."""

    def __init__(self) -> None:
        self.pending: dict[str, str] = {}  # id -> name
        self._over: set[str] = set()  # answered, or given up
        self._parts: defaultdict[str, list[str]] = defaultdict(list)  # of results that come in pieces

    def ask(self, calls: Sequence[ToolCall]) -> ServerMessage:
        """Those of one tick, which may be made side by side."""
        self.pending.update((call.call_id, call.name) for call in calls)
        asked = [types.FunctionCall(id=call.call_id, name=call.name, args=_args(call.arguments)) for call in calls]
        return ServerMessage(tool_call=types.LiveServerToolCall(function_calls=asked))

    def result(self, response: Mapping[str, Any]) -> ToolResult | None:
        """A FunctionResponse; None where nobody waits for it (any more) or it goes on. Raises BadMessage."""
        call_id = words(response, "id") or self._named(words(response, "name"))
        if call_id in self._over:
            return None
        if call_id not in self.pending:
            raise BadMessage(f"no function call {call_id[:60]!r} waits for a response; waiting: {self._waiting()}")
        parts = self._parts[call_id]
        parts.append(_output(table(response, "response")))
        if sum(map(len, parts)) > MAX_RESULT or len(parts) > MAX_PIECES:
            raise BadMessage(f"a result may come in {MAX_PIECES} pieces of {MAX_RESULT} characters together")
        if flag(response, "will_continue"):
            return None
        del self.pending[call_id]
        self._over.add(call_id)
        return ToolResult(call_id, "\n".join(self._parts.pop(call_id)))

    def give_up(self) -> list[ServerMessage]:
        """The client need not answer those that are still pending."""
        ids = list(self.pending)
        self.pending.clear()
        self._over.update(ids)
        return [ServerMessage(tool_call_cancellation=types.LiveServerToolCallCancellation(ids=ids))] if ids else []

    def _named(self, name: str) -> str:
        """The oldest call of that function: a response without an id, as Vertex allows it."""
        return next((call_id for call_id, called in self.pending.items() if called == name), name)

    def _waiting(self) -> str:
        return ", ".join(self.pending) or "none"


def _args(arguments: str) -> Table:
    try:
        args = json.loads(arguments)
    except (ValueError, RecursionError):
        args = None
    return args if isinstance(args, dict) else {"arguments": arguments}  # what the model wrote, though it is no object


def _output(response: Table) -> str:
    return json.dumps(response, ensure_ascii=False)
