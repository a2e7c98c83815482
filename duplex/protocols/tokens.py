"""/api/tokens: Mimi codes both ways, one binary message a tick of 80 ms, 19 bytes for 8 codebooks.

Byte by byte in docs/TOKENS.md. Both sides run Mimi themselves, with the weights whose sha256 the server names; text,
events and notes travel alongside as JSON text messages. The text and events of a tick come before its codes.
"""

from __future__ import annotations

import struct

import numpy as np

from duplex.frame import FRAME_SAMPLES, TICK_HZ, Frame
from duplex.notes import Note
from duplex.protocols.wire import Aside, BadMessage, Item, Message, Ready, Refused, as_json, asides, note_from, told
from duplex.session import Capabilities

VERSION = 1
CODES = 1  # the only kind of binary message so far
BITS = 11
MAX_CARDINALITY = 1 << BITS
_HEADER = struct.Struct("<BBBxI")  # version, kind, K, zero, tick


def pack(codes: np.ndarray) -> bytes:
    """int [K], each 0..2047 -> ceil(11 K / 8) bytes, least significant bit first. Raises ValueError out of range."""
    if codes.size and not (codes.min() >= 0 and codes.max() < MAX_CARDINALITY):
        raise ValueError(f"codes must be 0 to {MAX_CARDINALITY - 1}, got {codes.tolist()}")
    bits = codes.astype(np.int64)[:, None] >> np.arange(BITS) & 1  # [K, 11]
    return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()


def unpack(data: bytes, codebooks: int) -> np.ndarray:
    """The inverse of pack -> int64 [K]. Raises ValueError when the length or the padding is wrong."""
    if len(data) != packed_bytes(codebooks):
        raise ValueError(f"{codebooks} codes take {packed_bytes(codebooks)} bytes, got {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    if bits[codebooks * BITS :].any():
        raise ValueError("the bits after the last code must be zero")
    return bits[: codebooks * BITS].reshape(codebooks, BITS).astype(np.int64) @ (1 << np.arange(BITS))


def packed_bytes(codebooks: int) -> int:
    """How many bytes K codes take."""
    return (codebooks * BITS + 7) // 8


class Ticker:
    """One direction's codes: writes frames, and reads them in order."""

    def __init__(self, codebooks: int, cardinality: int) -> None:
        self._codebooks, self._cardinality = codebooks, cardinality
        self._t = 0  # the next tick to be read

    def write(self, frame: Frame) -> bytes:
        """Raises ValueError when the frame holds no codes or another number of them."""
        if frame.codes is None or len(frame.codes) != self._codebooks:
            held = "no codes" if frame.codes is None else f"{len(frame.codes)}"
            raise ValueError(f"/api/tokens carries {self._codebooks} codes a tick, but frame {frame.t} holds {held}")
        return _HEADER.pack(VERSION, CODES, self._codebooks, frame.t) + pack(frame.codes)

    def read(self, message: bytes) -> Frame:
        """Raises BadMessage when version, kind, K, tick order, length or a code is wrong, naming what was expected."""
        if len(message) < _HEADER.size:
            raise BadMessage(f"a binary message begins with a header of {_HEADER.size} bytes, got {len(message)}")
        found = _HEADER.unpack_from(message)
        expected = (VERSION, CODES, self._codebooks, self._t)
        for name, got, wanted in zip(("version", "kind", "codebooks", "tick"), found, expected, strict=True):
            if got != wanted:
                raise BadMessage(f"expected {name} {wanted}, got {got}")
        codes = self._codes(message[_HEADER.size :])
        self._t += 1
        return Frame(self._t - 1, codes=codes)

    def _codes(self, data: bytes) -> np.ndarray:
        try:
            codes = unpack(data, self._codebooks)
        except ValueError as error:
            raise BadMessage(f"tick {self._t}: {error}") from None
        if codes.max(initial=0) >= self._cardinality:
            raise BadMessage(f"tick {self._t}: codes must be 0 to {self._cardinality - 1}, got {codes.tolist()}")
        return codes


class TokensWire:
    """The serving side; its codes are the agent's, so it reads and writes none before `hello`."""

    def __init__(self) -> None:
        self._ticker: Ticker | None = None

    def hello(self, can: Capabilities) -> list[Message]:
        """Raises ValueError when the agent's codebooks do not fit the wire."""
        if can.codebooks > 255 or can.cardinality > MAX_CARDINALITY:
            raise ValueError(f"the wire carries 255 codebooks of {MAX_CARDINALITY} entries; {can.name} has more")
        self._ticker = Ticker(can.codebooks, can.cardinality)
        codec = {"codebooks": can.codebooks, "cardinality": can.cardinality, "codec": can.codec}
        facts = {"frame_hz": TICK_HZ, "frame_samples": FRAME_SAMPLES, "agent": can.name, "model": can.model}
        return [as_json("ready", wire="tokens", version=VERSION, **codec, **facts)]

    def receive(self, message: Message) -> list[Item]:
        return [note_from(message) if isinstance(message, str) else _opened(self._ticker).read(message)]

    def send(self, said: Frame) -> list[Message]:
        return [*asides(said), _opened(self._ticker).write(said)]

    @staticmethod
    def declined(note: Note, reason: str) -> list[Message]:
        return TokensWire.refuse(reason)

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return [as_json("error", reason=reason)]


def _opened(ticker: Ticker | None) -> Ticker:
    if ticker is None:
        raise BadMessage("codes before the server's ready message")
    return ticker


class TokensCaller:
    """The calling side; it may speak once it has received Ready."""

    def __init__(self) -> None:
        self._ticker: Ticker | None = None

    def hello(self) -> list[Message]:
        return []

    def say(self, heard: Frame) -> list[Message]:
        return [_opened(self._ticker).write(heard)]

    def receive(self, message: Message) -> list[Ready | Frame | Aside | Refused]:
        if isinstance(message, bytes):
            return [_opened(self._ticker).read(message)]
        items = told(message)
        for item in items:
            if isinstance(item, Ready):
                self._ticker = _agreed(item)
        return list(items)


def _agreed(ready: Ready) -> Ticker:
    if (version := ready.facts.get("version")) != VERSION:
        raise BadMessage(f"this client speaks version {VERSION} of /api/tokens, the server version {version}")
    sizes = [ready.facts.get(name) for name in ("codebooks", "cardinality")]
    if not all(isinstance(size, int) for size in sizes):
        raise BadMessage("the ready message must name codebooks and cardinality")
    return Ticker(*sizes)  # type: ignore[arg-type]
