"""OpenAI Realtime (GA): turns of speech as JSON events, for any client of the `openai` SDK.

The agents know when turns begin and end; here that becomes events in the order that clients rely on, and the items of
a conversation. What a client asks for and an agent cannot do is said in `session.updated` (our field `unsupported`) or
in an `error` with code "unsupported"; no error ends a session.

Usage counts our own tokens: a tick (80 ms) of the user's turns since the last answer, and of the answer's sound, is as
many audio tokens as the agent has codebooks (8 where it has none); a word typed, or said, is a text token. Ignored, but
accepted: max_output_tokens, and a response's own voice and tools. Refused: responses outside of the conversation, and
recorded audio in an item without its transcript.
"""

from collections.abc import Mapping

from duplex.protocols.realtime.caller import RealtimeCaller
from duplex.protocols.realtime.settings import SERVER_VAD, taking
from duplex.protocols.realtime.wire import RealtimeWire
from duplex.protocols.wire import Open
from duplex.session import SessionConfig

__all__ = ["RealtimeCaller", "RealtimeWire", "wish"]


def wish(query: Mapping[str, str]) -> Open:
    """Whom the address names, as `agent` or `model`; the session begins as the protocol has it, with server_vad."""
    config = SessionConfig(turns=taking(SERVER_VAD), transcribe=True)  # that can only be asked for in the beginning
    return Open(query.get("agent") or query.get("model", ""), config)
