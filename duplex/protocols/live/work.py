"""What an agent hands over to others: a whole task to the client's application, or calls of the client's tools."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from openai.types.live.function_tool import FunctionTool
from openai.types.live.responses_delegation_config import ResponsesDelegationConfig

from duplex.events import ToolCall
from duplex.notes import Tool, UseTools
from duplex.protocols.live.events import checked, plain
from duplex.protocols.live.mistake import Mistake

Told = tuple[str, dict[str, Any]]  # an event's type and its fields

HAND_OVER = Tool(
    "delegate",
    "Hand a task to the application behind this conversation. Use it for everything that you cannot answer yourself: "
    "facts that you do not know, what changes from day to day, the user's own data, and anything that has to be done. "
    "The result comes later.",
    {
        "type": "object",
        "properties": {"task": {"type": "string", "description": "what is asked"}},
        "required": ["task"],
    },
)


class ClientWork:
    """`client`: the application learns that there is a task, and finds in the transcripts what it is."""

    target, instructions = "client", ""
    tools = UseTools((HAND_OVER,))
    strange = ()

    def __init__(self, asked: Any) -> None:
        self.described = plain(asked) if asked else {"type": "client"}
        self._numbers = count(1)
        self._open: dict[str, str] = {}  # a delegation that has no answer yet -> the agent's call

    def update(self, asked: Any) -> None:
        """The `delegation` of a session.update."""
        self.described |= plain(asked)

    def call(self, call: ToolCall, offset_ms: int) -> Iterator[Told]:
        """The agent hands a task over at this time of the session."""
        name = f"delegation_{next(self._numbers)}"
        self._open[name] = call.call_id
        yield _created(offset_ms, id=name, target="client")

    def over(self) -> Iterator[Told]:
        """No more calls come in this answer of the agent."""
        yield from ()

    def answered(self, delegation_id: str | None) -> str | None:
        """The call that the client now answers for the first time."""
        return self._open.pop(delegation_id or "", None)


class ToolWork:
    """`responses`: at OpenAI a second model decides which tools to call; here it is the agent itself."""

    target = "responses"

    def __init__(self, asked: Any) -> None:
        self.described = plain(asked)
        self._config: ResponsesDelegationConfig = asked.responses
        self._numbers = count(1)
        self._told: _Response | None = None

    @property
    def instructions(self) -> str:
        """What the second model is told."""
        return self._config.instructions or ""

    @property
    def tools(self) -> UseTools:
        """What the agent may call."""
        given = [tool for tool in self._config.tools or [] if isinstance(tool, FunctionTool)]
        tools = tuple(Tool(tool.name, tool.description or "", tool.parameters or {}) for tool in given)
        return UseTools(tools, _choice(self._config.tool_choice))

    @property
    def strange(self) -> tuple[str, ...]:
        """The kinds of tools that were asked for and are not functions."""
        return tuple(sorted({tool.type for tool in self._config.tools or [] if not isinstance(tool, FunctionTool)}))

    def update(self, asked: Any) -> None:
        """The `delegation` of a session.update. Raises Mistake."""
        new = plain(asked)
        merged = self.described["responses"] | new.get("responses", {})
        self._config = checked(ResponsesDelegationConfig, merged)
        self.described |= new | {"responses": plain(self._config)}

    def call(self, call: ToolCall, offset_ms: int) -> Iterator[Told]:
        """The agent wants a tool to be called; calls of one answer are one delegation."""
        if self._told is None:
            self._told = _Response(next(self._numbers), self._config.model)
            yield _created(offset_ms, id=self._told.delegation, target="responses", response_id=self._told.name)
            yield self._told.state("response.created", "in_progress")
        yield self._told.call(call)

    def over(self) -> Iterator[Told]:
        """No more calls come in this answer of the agent."""
        if self._told:
            yield self._told.state("response.completed", "completed")
        self._told = None


class _Response:
    """One response as it is told, wrapped in `response.event`."""

    def __init__(self, number: int, model: str) -> None:
        self.delegation, self.name, self._model = f"delegation_{number}", f"resp_{number}", model
        self._steps, self._items = count(), count()

    def state(self, kind: str, status: str) -> Told:
        """What it is, without its content, as OpenAI sends it here."""
        about = {"id": self.name, "object": "response", "created_at": 0, "status": status, "model": self._model}
        empty = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "output": []}
        return self._wrapped(kind, response=about | empty)

    def call(self, call: ToolCall) -> Told:
        """One call of a tool, whole."""
        index = next(self._items)
        item = {"id": f"fc_{self.name}_{index}", "type": "function_call", "status": "completed"}
        item |= {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
        return self._wrapped("response.output_item.done", output_index=index, item=item)

    def _wrapped(self, kind: str, **values: Any) -> Told:
        inner = {"type": kind, "sequence_number": next(self._steps), **values}
        return "response.event", {"delegation_id": self.delegation, "event": inner}


def work_of(asked: Any) -> ClientWork | ToolWork:
    """From the `delegation` of a session.start; None is the client. Raises Mistake."""
    if asked and asked.type == "decisions":
        raise Mistake("delegation must be client or responses here, not decisions", "unsupported", "session.delegation")
    return ToolWork(asked) if asked and asked.type == "responses" else ClientWork(asked)


def _created(offset_ms: int, **delegation: str) -> Told:
    return "session.delegation.created", {"delegation": {"type": "delegation", **delegation}, "offset_ms": offset_ms}


def _choice(asked: Any) -> str:
    if isinstance(asked, str):
        return asked
    return asked.name if getattr(asked, "type", "") == "function" else "auto"
