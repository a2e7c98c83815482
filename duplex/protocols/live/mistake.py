"""What a client of GPT-Live did wrong."""

from __future__ import annotations


class Mistake(Exception):
    """What a client asked for that cannot be; the session goes on. The text says what is allowed."""

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param
        self.client_event_id: str | None = None  # of the command
