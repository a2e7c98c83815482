"""The side that Twilio connects to.

Every tick is sent with a mark that bears its number, so that the marks that come back say what has been played. When
the user interrupts, what has not been played is dropped at the phone (`clear`), the rest of the agent's sound here,
and the agent is told what was heard (Heard) where words were lost.

When that is depends on who decides. A pipeline's turn-taking stops it at the user's first word, so what it has sent
before is cleared at SpeechStarted. An agent that is full duplex yields by itself, and often rightly does not (the
user said "mhm"): it is cleared only when it says that it was interrupted, or when it has finished while the user
speaks and something is still to be played.
"""

from __future__ import annotations

import numpy as np

from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped
from duplex.frame import SAMPLE_RATE, Event, Frame, Framer
from duplex.notes import Heard, Note, Remember, TurnTaking
from duplex.protocols.resample import Resampler
from duplex.protocols.sound import MAX_MESSAGE_S, audible
from duplex.protocols.twilio.messages import ENCODING, PHONE_HZ, Fields, payload, read, write
from duplex.protocols.twilio.unplayed import Unplayed
from duplex.protocols.wire import BadMessage, Bye, Item, Message, Open
from duplex.session import Capabilities, SessionConfig

_AHEAD_TICKS = 4  # sent and not known to be played; with more, silence is left out until the phone has caught up
_DROP_TICKS = 3  # an agent that was cut off fades out within these
_DIGITS = "0123456789*#ABCD"


class TwilioWire:
    """One call. `customParameters` may name agent, persona, voice and language."""

    def __init__(self, max_message_s: float = MAX_MESSAGE_S) -> None:
        self._max_message_s = max_message_s
        self._stream: str | None = None  # streamSid, once the stream has started
        self._chunk = 0  # the last one
        self._inward, self._outward = Resampler(PHONE_HZ, SAMPLE_RATE), Resampler(SAMPLE_RATE, PHONE_HZ)
        self._framer = Framer()
        self._made_up_t = -1  # the last tick that the caller sent nothing for
        self._unplayed = Unplayed()
        self._drop_ticks = 0  # that are still kept from the listener
        self._lost: Heard | None = None  # to be told with the next message
        self._full_duplex = self._user_speaks = False

    def hello(self, can: Capabilities) -> list[Message]:
        self._full_duplex = can.full_duplex
        return []

    def receive(self, message: Message) -> list[Item]:
        event, fields = read(message)
        if event == "start":
            return [self._started(fields)]
        if event == "stop":
            return [Bye()]
        if event not in ("media", "mark", "dtmf"):
            return []  # connected, and what Twilio may yet invent
        self._check(event, fields)
        lost, self._lost = [self._lost] if self._lost else [], None
        if event == "media":
            return [*lost, *self._sound(fields.below("media"))]
        if event == "dtmf":
            return [*lost, _pressed(fields.below("dtmf").text("digit"))]
        self._unplayed.played(fields.below("mark").text("name"))
        return [*lost]

    def lull(self) -> Frame:
        self._made_up_t = self._framer.t
        return self._framer.lull()

    def send(self, said: Frame) -> list[Message]:
        if said.pcm is None:
            raise ValueError(f"Media Streams carry pcm, but frame {said.t} holds none")
        cleared = [message for event in said.events for message in self._noticed(event)]
        loud = audible(said.pcm)
        if self._drop_ticks and loud:
            return [*cleared, *self._dropped(said)]
        self._drop_ticks = 0
        return [*cleared, *self._sent(said.t, said.pcm, loud, said.text)]

    @staticmethod
    def declined(note: Note, reason: str) -> list[Message]:
        return []  # the caller asked for nothing: keys and marks are told to whoever takes them

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return []  # Twilio knows no error message; it logs the reason of the close

    # --- from the phone ---

    def _started(self, fields: Fields) -> Open:
        if self._stream is not None:
            raise BadMessage("a stream starts once")
        start = fields.below("start")
        form = start.below("mediaFormat")
        found = form.text("encoding"), form.number("sampleRate", 0), form.number("channels", 1)
        if found != (ENCODING, PHONE_HZ, 1):
            raise BadMessage(
                f"the sound must be {ENCODING}, {PHONE_HZ} Hz, 1 channel; got {found[0]}, {found[1]}, {found[2]}"
            )
        self._stream = fields.text("streamSid")
        asked = start.below("customParameters")
        persona, voice, language = (asked.text(name, "") for name in ("persona", "voice", "language"))
        return Open(asked.text("agent", ""), SessionConfig(persona, voice, language, turns=TurnTaking()))

    def _check(self, event: str, fields: Fields) -> None:
        if self._stream is None:
            raise BadMessage(f"{event} before start")
        if (stream := fields.text("streamSid")) != self._stream:
            raise BadMessage(f"streamSid must be {self._stream!r}, got {stream!r}")

    def _sound(self, media: Fields) -> list[Frame]:
        """A chunk that was lost on the way is not made up: the next one follows on."""
        if media.text("track", "inbound") != "inbound":
            return []
        chunk = media.number("chunk", self._chunk + 1)
        if chunk <= self._chunk:
            raise BadMessage(f"media.chunk must be more than {self._chunk}, the last one, got {chunk}")
        self._chunk = chunk
        return self._framer.push(self._inward.push(media.sound("payload", self._max_message_s)))

    # --- to the phone ---

    def _sent(self, t: int, pcm: np.ndarray, loud: bool, text: str = "") -> list[Message]:
        sound = self._outward.push(pcm)
        needless = t == self._made_up_t or self._unplayed.ticks > _AHEAD_TICKS
        if needless and not loud and not text:
            return []
        self._unplayed.sent(t, loud, text)
        media = {"payload": payload(sound)}
        return [self._write("media", media=media), self._write("mark", mark={"name": str(t)})]

    def _noticed(self, event: Event) -> list[Message]:
        if isinstance(event, Answering):
            self._drop_ticks = 0
            self._unplayed.answer()
        if isinstance(event, (SpeechStarted, SpeechStopped)):
            self._user_speaks = isinstance(event, SpeechStarted)
        return self._clear() if self._cuts(event) else []

    def _cuts(self, event: Event) -> bool:
        """Whether the user should hear no more of what came before this."""
        if isinstance(event, Answered):
            yielded = self._full_duplex and self._user_speaks
            return yielded or event.why in ("interrupted", "cancelled")
        return isinstance(event, Interrupted) or (isinstance(event, SpeechStarted) and not self._full_duplex)

    def _clear(self) -> list[Message]:
        self._drop_ticks = _DROP_TICKS
        if not self._unplayed.audible:
            return []
        self._lose(self._unplayed.words)
        self._unplayed.drop()
        self._outward = Resampler(SAMPLE_RATE, PHONE_HZ)  # nothing of the last word rings on
        return [self._write("clear")]

    def _dropped(self, said: Frame) -> list[Message]:
        self._drop_ticks -= 1
        self._lose(said.text)
        return self._sent(said.t, np.zeros_like(said.pcm), loud=False)

    def _lose(self, words: str) -> None:
        if words.strip():
            self._lost = Heard(self._unplayed.heard.strip())

    def _write(self, event: str, **body: object) -> str:
        return write(event, self._stream or "", **body)


def _pressed(digit: str) -> Remember:
    if len(digit) != 1 or digit not in _DIGITS:
        raise BadMessage(f"dtmf.digit must be one of {_DIGITS}, got {digit!r}")
    return Remember("user", f"(pressed {digit} on the telephone)")
