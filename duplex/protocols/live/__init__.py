"""GPT-Live (`/v1/live/sessions`), OpenAI's full-duplex protocol: sound both ways all the time, silence included."""

from duplex.protocols.live.caller import LiveCaller
from duplex.protocols.live.wire import LiveWire

__all__ = ["LiveCaller", "LiveWire"]
