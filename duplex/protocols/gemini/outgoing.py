"""The server's messages, made with Google's own types, so that none is sent that their SDKs would not know."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import numpy as np
from google.genai import types

from duplex.frame import SAMPLE_RATE
from duplex.protocols.sound import encode_s16
from duplex.protocols.wire import Message

ServerMessage = types.LiveServerMessage
REJECTED = types.TurnCompleteReason.RESPONSE_REJECTED
_MIME = f"audio/pcm;rate={SAMPLE_RATE}"


def packed(message: ServerMessage) -> Message:
    """As JSON. The base64 is everybody's; that of the SDK's own dump is for addresses, and browsers do not read it."""
    values = message.model_dump(by_alias=True, exclude_none=True)
    return json.dumps(values, separators=(",", ":"), default=lambda data: b64encode(data).decode())


def content(usage: types.UsageMetadata | None = None, **fields: Any) -> ServerMessage:
    """One with serverContent of these fields."""
    return ServerMessage(server_content=types.LiveServerContent(**fields), usage_metadata=usage)


def turn(*parts: types.Part) -> types.Content:
    """A modelTurn."""
    return types.Content(role="model", parts=list(parts))


def sound(pcm: np.ndarray) -> types.Part:
    """float32 [n] at 24 kHz; clipped at full scale."""
    return types.Part(inline_data=types.Blob(data=encode_s16(pcm), mime_type=_MIME))


def thought(text: str) -> types.Part:
    """Words beside the answer, which an app does not take for a part of it."""
    return types.Part(text=text, thought=True)


def activity(kind: types.VoiceActivityType, sample: int) -> ServerMessage:
    """The user's speech begins or ends at `sample`."""
    return ServerMessage(
        voice_activity=types.VoiceActivity(voice_activity_type=kind, audio_offset=f"{sample / SAMPLE_RATE:.3f}s")
    )


class Usage:
    """Counts one turn, in our tokens: K codebooks a tick where the agent speaks Mimi codes, else one a tick."""

    def __init__(self, codebooks: int = 0) -> None:
        self._a_tick = codebooks or 1
        self.heard_ticks = self.said_ticks = self.pieces = 0  # pieces: of text, from a language model

    def settle(self) -> types.UsageMetadata:
        """What was used since the last time."""
        heard, said, pieces = self.heard_ticks * self._a_tick, self.said_ticks * self._a_tick, self.pieces
        self.heard_ticks = self.said_ticks = self.pieces = 0
        return types.UsageMetadata(
            prompt_token_count=heard,
            response_token_count=said + pieces,
            total_token_count=heard + said + pieces,
            prompt_tokens_details=_details(AUDIO=heard),
            response_tokens_details=_details(AUDIO=said, TEXT=pieces),
        )


def _details(**counts: int) -> list[types.ModalityTokenCount]:
    return [
        types.ModalityTokenCount(modality=types.MediaModality(name), token_count=count)
        for name, count in counts.items()
        if count
    ]
