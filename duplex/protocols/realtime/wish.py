"""What the address of a Realtime connection asks for."""

from __future__ import annotations

from collections.abc import Mapping

from duplex.protocols.realtime.settings import SERVER_VAD, taking
from duplex.protocols.wire import Open
from duplex.session import SessionConfig


def wish(query: Mapping[str, str]) -> Open:
    """Whom the address names, as `agent` or `model`; the session begins as the protocol has it, with server_vad."""
    config = SessionConfig(turns=taking(SERVER_VAD), transcribe=True)  # that can only be asked for in the beginning
    return Open(query.get("agent") or query.get("model", ""), config)
