"""What was said so far, as a language model wants it: only what the user can have heard."""

from __future__ import annotations

from dataclasses import dataclass

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": ...}


@dataclass
class Memory:
    """The conversation. The agent's words enter as they are voiced, so an interruption leaves nothing to undo."""

    persona: str
    max_chars: int

    def __post_init__(self) -> None:
        self._said: list[Message] = []

    def hear(self, text: str) -> None:
        """The user said this. Two utterances without an answer between them are one."""
        self._add("user", text.strip())
        self._forget()

    def voice(self, text: str) -> None:
        """These words of the agent have begun to sound."""
        if text:
            self._add("assistant", text.strip())

    def messages(self) -> list[Message]:
        """The whole conversation, the persona first."""
        return [{"role": "system", "content": self.persona}, *(dict(message) for message in self._said)]

    def copy(self) -> Memory:
        """What is remembered now; either may go on without the other."""
        twin = Memory(self.persona, self.max_chars)
        twin._said = [dict(message) for message in self._said]
        return twin

    def _add(self, role: str, text: str) -> None:
        if self._said and self._said[-1]["role"] == role:
            self._said[-1]["content"] += " " + text
        else:
            self._said.append({"role": role, "content": text})

    def _forget(self) -> None:
        """Too long: drop the older half at once, since every drop makes the model read the rest afresh."""
        if self._chars() > self.max_chars:
            while len(self._said) > 1 and self._chars() > self.max_chars // 2:
                del self._said[0]
            self._said[0]["content"] = self._said[0]["content"][-self.max_chars :]

    def _chars(self) -> int:
        return sum(len(message["content"]) for message in self._said)
