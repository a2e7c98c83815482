"""What was said so far, as a language model wants it: only what the user can have heard."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from duplex.notes import Heard, Image, Instruct, Note, Remember, Rewrite, ToolResult

Message = dict[str, Any]  # {"role": "system" | "user" | "assistant", "content": text, or parts of text and pictures}


@dataclass
class Memory:
    """The conversation. The agent's words enter as they are voiced, so an interruption leaves nothing to undo."""

    persona: str
    max_chars: int

    def __post_init__(self) -> None:
        self._said: list[Message] = []

    def hear(self, text: str) -> None:
        """The user said this. Two utterances without an answer between them are one."""
        self.add("user", text)

    def voice(self, text: str) -> None:
        """These words of the agent have begun to sound."""
        if text:
            self._add("assistant", text.strip())

    def add(self, role: str, text: str) -> None:
        """This was said, by whomever."""
        self._add(role, text.strip())
        self._forget()

    def show(self, picture: bytes, mime: str) -> None:
        """The user showed this."""
        url = f"data:{mime};base64,{base64.b64encode(picture).decode()}"
        self._said.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})

    def correct(self, heard: str) -> None:
        """All that the user heard of the agent's last words."""
        for at in range(len(self._said) - 1, -1, -1):
            if self._said[at]["role"] == "assistant":
                self._said[at]["content"] = heard.strip()
                if not heard.strip():
                    del self._said[at]
                return

    def rewrite(self, lines: Iterable[Remember]) -> None:
        """This is all that was said."""
        self._said = []
        for line in lines:
            self.add(line.role, line.text)

    def learn(self, note: Note) -> None:
        """What a client knows of the conversation and the agent could not hear; other notes make no difference."""
        if isinstance(note, Instruct):
            self.persona = note.persona
        elif isinstance(note, Remember):
            self.add(note.role, note.text)
        elif isinstance(note, Rewrite):
            self.rewrite(note.lines)
        elif isinstance(note, Heard):
            self.correct(note.text)
        elif isinstance(note, Image):
            self.show(note.data, note.mime)
        elif isinstance(note, ToolResult):
            self.add("system", f"The tool has answered: {note.output}\nTell the user so in one short sentence.")

    def messages(self) -> list[Message]:
        """The whole conversation, the persona first."""
        return [{"role": "system", "content": self.persona}, *(dict(message) for message in self._said)]

    def copy(self) -> Memory:
        """What is remembered now; either may go on without the other."""
        twin = Memory(self.persona, self.max_chars)
        twin._said = [dict(message) for message in self._said]
        return twin

    def _add(self, role: str, text: str) -> None:
        last = self._said[-1] if self._said else {"role": "", "content": None}
        if last["role"] == role and isinstance(last["content"], str):
            last["content"] += " " + text
        else:
            self._said.append({"role": role, "content": text})

    def _forget(self) -> None:
        """Too long: drop the older half at once, since every drop makes the model read the rest afresh."""
        if self._chars() > self.max_chars:
            while len(self._said) > 1 and self._chars() > self.max_chars // 2:
                del self._said[0]
            if isinstance(self._said[0]["content"], str):
                self._said[0]["content"] = self._said[0]["content"][-self.max_chars :]

    def _chars(self) -> int:
        return sum(len(message["content"]) for message in self._said if isinstance(message["content"], str))
