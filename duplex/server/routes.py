"""Which wire is spoken at which address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex

from duplex.protocols.gemini.wire import GeminiWire
from duplex.protocols.live.wire import LiveWire
from duplex.protocols.moshi import MoshiWire
from duplex.protocols.opus import Opus
from duplex.protocols.pcm import PcmWire
from duplex.protocols.query import asked
from duplex.protocols.realtime.wire import RealtimeWire
from duplex.protocols.realtime.wish import wish as realtime_wish
from duplex.protocols.tokens import TokensWire
from duplex.protocols.twilio import TwilioWire
from duplex.protocols.wire import Open, Wire

Query = Mapping[str, str]  # of the client's address


@dataclass(frozen=True, slots=True)
class Route:
    """A wire that is served."""

    kind: type[Wire]
    make: Callable[[Query], Wire]  # raises BadMessage
    wish: Callable[[Query], Open] | None = None  # raises BadMessage; None: the wire's own messages say it
    steady: bool = False  # ticks come in real time, also where the client sends no sound
    ours: bool = False  # `agent` in the address names one of this server's agents; else any name of a model will do


LIVE = Route(LiveWire, lambda query: LiveWire(f"session_{token_hex(12)}"), steady=True)
REALTIME = Route(
    RealtimeWire,
    lambda query: RealtimeWire(query.get("model", ""), f"{token_hex(6)}_"),
    realtime_wish,
    steady=True,
)

ROUTES: Mapping[str, Route] = {
    "/api/chat": Route(MoshiWire, lambda query: MoshiWire(Opus()), lambda query: asked(query, "pcm"), ours=True),
    "/api/tokens": Route(TokensWire, lambda query: TokensWire(), lambda query: asked(query, "codes"), ours=True),
    "/api/pcm": Route(
        PcmWire, lambda query: PcmWire(query.get("format", "s16")), lambda query: asked(query, "pcm"), ours=True
    ),
    "/twilio": Route(TwilioWire, lambda query: TwilioWire(), steady=True, ours=True),
    # Google's SDKs: any version of the API; the constrained method is the one for short-lived tokens
    "/ws/google.ai.generativelanguage.{version}.GenerativeService.{method:BidiGenerateContent(?:Constrained)?}": Route(
        GeminiWire, lambda query: GeminiWire(), steady=True
    ),
    "/v1/realtime": REALTIME,
    "/realtime": REALTIME,
    "/v1/live/sessions": LIVE,
    "/live/sessions": LIVE,
}


def addresses() -> list[str]:
    """Where wires are spoken, for people; VERSION and the like stand for what clients put there."""
    return [re.sub(r"\{(\w+)[^{}]*\}", lambda part: part[1].upper(), path) for path in ROUTES]
