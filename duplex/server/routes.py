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
    make: Callable[[Query, float], Wire]  # of an address, and seconds of sound in a message; raises BadMessage
    wish: Callable[[Query], Open] | None = None  # raises BadMessage; None: the wire's own messages say it
    ours: bool = False  # `agent` in the address names one of this server's agents; else any name of a model will do


LIVE = Route(LiveWire, lambda query, most_s: LiveWire(f"session_{token_hex(12)}", most_s))
REALTIME = Route(
    RealtimeWire,
    lambda query, most_s: RealtimeWire(query.get("model", ""), f"{token_hex(6)}_", most_s),
    realtime_wish,
)

ROUTES: Mapping[str, Route] = {
    "/api/chat": Route(
        MoshiWire, lambda query, most_s: MoshiWire(Opus(), most_s), lambda query: asked(query, "pcm"), ours=True
    ),
    "/api/tokens": Route(
        TokensWire, lambda query, most_s: TokensWire(), lambda query: asked(query, "codes"), ours=True
    ),
    "/api/pcm": Route(
        PcmWire,
        lambda query, most_s: PcmWire(query.get("format", "s16"), most_s),
        lambda query: asked(query, "pcm"),
        ours=True,
    ),
    "/twilio": Route(TwilioWire, lambda query, most_s: TwilioWire(most_s), ours=True),
    # Google's SDKs: any version of the API; the constrained method is the one for short-lived tokens
    "/ws/google.ai.generativelanguage.{version}.GenerativeService.{method:BidiGenerateContent(?:Constrained)?}": Route(
        GeminiWire, lambda query, most_s: GeminiWire(most_s)
    ),
    "/v1/realtime": REALTIME,
    "/realtime": REALTIME,
    "/v1/live/sessions": LIVE,
    "/live/sessions": LIVE,
}


def addresses() -> list[str]:
    """Where wires are spoken, for people; VERSION and the like stand for what clients put there."""
    return [re.sub(r"\{(\w+)[^{}]*\}", lambda part: part[1].upper(), path) for path in ROUTES]
