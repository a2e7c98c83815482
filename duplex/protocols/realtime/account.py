"""What an answer counts as, in our own tokens (see the package)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Account:
    """What an answer was given for, and how much a tick of sound counts."""

    heard_ticks: int  # of the user's speech since the answer before
    read_words: int  # that were typed since then
    codebooks: int

    def usage(self, said_ticks: int, said: str) -> dict[str, Any]:
        """The SDK's usage object of an answer with so much sound, and these words."""
        heard, spoken, words = self.heard_ticks * self.codebooks, said_ticks * self.codebooks, len(said.split())
        inputs, outputs = heard + self.read_words, spoken + words
        asked = {"audio_tokens": heard, "text_tokens": self.read_words, "image_tokens": 0, "cached_tokens": 0}
        return {
            "total_tokens": inputs + outputs,
            "input_tokens": inputs,
            "output_tokens": outputs,
            "input_token_details": asked,
            "output_token_details": {"audio_tokens": spoken, "text_tokens": words},
        }
