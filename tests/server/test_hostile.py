"""Clients that mean harm, on every wire that others' SDKs speak, beside one on the same server that must not notice.

Whatever they send, it is answered in the protocol's own way and the session still works, or the connection is closed
with a code and a reason; it is never the agent that fails.
"""

import asyncio
import gc
import json
import logging
import socket
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duplex.agents.echo import open_echo
from duplex.frame import silence
from duplex.notes import Instruct, Remember
from duplex.protocols.pcm import PcmWire
from duplex.protocols.wire import Reply
from duplex.server import ServerConfig
from duplex.server.conversation import Conversation
from duplex.server.pace import pace_of
from duplex.session import SessionConfig
from tests.server.hostile import (
    GEMINI,
    LIVE,
    MAX_BYTES,
    REALTIME,
    TALKS,
    TWILIO,
    WORD,
    Guest,
    Host,
    Raw,
    Sent,
    Talk,
    Turn,
    beside,
    nested,
    put,
    stormed,
    turns,
    visiting,
)
from tests.server.site import Site, ending, site
from tests.server.test_bad_clients import emptied

BAD_DATA, POLICY, TOO_BIG, TRY_LATER = 1007, 1008, 1009, 1013
LOBBIES = (LIVE, GEMINI, TWILIO)  # where a session has to be asked for


@contextmanager
def no_complaints() -> Iterator[None]:
    """Nothing is logged as an error meanwhile: no traceback, no handler that broke off."""
    listener = Complaints(logging.ERROR)
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)
    assert not listener.heard, listener.heard


class Complaints(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.getMessage()} {record.exc_info}")


async def still_works(talk: Talk, guest: Guest, host: Host) -> bool:
    """Whether the agent gets what is sent now, and the client is told of it; False: the server has hung up."""
    before = len(guest.messages)
    await guest.send(talk.probe)
    await guest.until(lambda: talk.reaches in host.notes)
    await guest.send(*[json.dumps(talk.valid[0])] * 8)
    ack = talk.ack
    if ack:
        await guest.until(lambda: any(map(ack, guest.messages[before:])))
    return guest.end is None


async def survived(talk: Talk, asked_first: bool, stream: Sequence[Turn]) -> None:
    host = Host()
    agents = {"host": host, "echo": open_echo({})}
    async with site(agents, max_message_bytes=MAX_BYTES) as here, beside(here) as ticks:
        async with visiting(here, talk.path) as guest:
            if asked_first:
                await guest.send(*talk.opening)
            for turn in stream:
                await guest.send(*turn.messages)
                if isinstance(turn.messages[0], Raw):  # what came after it might tear down the close before it is read
                    await guest.until(lambda: False)
            if not asked_first:
                await guest.send(*talk.opening)
            if not await still_works(talk, guest, host):
                code, reason = guest.end or (None, "")
                sent = str([turn.messages for turn in stream])
                said_bye = "session.close" in sent or '"stop"' in sent
                assert code in (BAD_DATA, POLICY, TOO_BIG, *([1000] if said_bye else [])), (code, reason)
                assert reason
        await emptied(here, "host")
        done = len(ticks)
        while len(ticks) == done:  # noqa: ASYNC110 (the neighbour goes on)
            await asyncio.sleep(0.005)
    assert host.closed == len(host.asked) <= 1


@pytest.mark.parametrize("talk", TALKS, ids=repr)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_comes_is_answered_or_ends_with_a_reason(talk, data):
    stream = data.draw(st.lists(turns(talk), min_size=1, max_size=6), label="stream")
    asked_first = data.draw(st.booleans(), label="asked first")
    with no_complaints():
        asyncio.run(asyncio.wait_for(survived(talk, asked_first, stream), 100))


# --- one mistake of each kind, and what becomes of it -----------------------------------------------------------------


def mistakes(talk: Talk) -> dict[str, Sent]:
    sound = talk.valid[0]
    kind = next(iter(sound))
    return {
        "cut": json.dumps(sound)[:-5],
        "empty": "",
        "no object": "[]",
        "garbage": b"\x00\x01\xff",
        "wrong type": json.dumps(put(sound, (kind,), 7)),
        "not base64": talk.loud("?"),
        "not a number": json.dumps(put(sound, (list(sound)[-1],), float("nan"))),
        "half a letter": json.dumps(put(talk.probe, (list(talk.probe)[-1],), "\ud800")),
        "deep list": nested(sound, (list(sound)[-1],), 900, "list"),
        "deeper": nested(sound, (list(sound)[-1],), 100_000, "object"),
    }


@pytest.mark.parametrize("talk", TALKS, ids=repr)
async def test_a_mistake_is_told_as_the_protocol_has_it(talk):
    host = Host()
    with no_complaints():
        async with site({"host": host, "echo": open_echo({})}) as here, beside(here):
            if talk.forgives:
                async with visiting(here, talk.path) as guest:
                    await guest.send(*talk.opening)
                    for name, message in mistakes(talk).items():
                        before = len(errors(guest))
                        await guest.send(message)
                        await guest.until(lambda before=before: len(errors(guest)) > before)
                        assert errors(guest)[before]["message"], name
                    assert await still_works(talk, guest, host), guest.end
                return
            for name, message in mistakes(talk).items():
                async with visiting(here, talk.path) as guest:
                    await guest.send(*talk.opening, message)
                    await guest.until(lambda: False)
                    code, reason = guest.end or (None, "")
                assert code == BAD_DATA and reason, name


def errors(guest: Guest) -> list[dict]:
    """The protocol's own, of OpenAI's two."""
    return [event["error"] for event in map(json.loads, guest.messages) if event.get("type") == "error"]


@pytest.mark.parametrize("talk", TALKS, ids=repr)
@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (Raw(b'{"type":"\xed\xa0\x80"}'), BAD_DATA, "a text message must be UTF-8"),
        ("x" * (MAX_BYTES + 1), TOO_BIG, f"a message may hold {MAX_BYTES} bytes, got {MAX_BYTES + 1}"),
        (bytes(MAX_BYTES + 1), TOO_BIG, f"a message may hold {MAX_BYTES} bytes, got {MAX_BYTES + 1}"),
        (bytes(17 << 20), TOO_BIG, f"a message may hold {16 << 20} bytes"),
    ],
    ids=["no utf-8", "long text", "long binary", "longer than any"],
)
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
async def test_no_wire_goes_on_after_that(talk, message, code, reason, inside):
    async with (
        site({"host": Host(), "echo": open_echo({})}, max_message_bytes=MAX_BYTES) as here,
        beside(here),
        visiting(here, talk.path) as guest,
    ):
        await guest.send(*(talk.opening if inside else ()), message)
        await guest.until(lambda: False)
        assert guest.end == (code, reason)


@pytest.mark.parametrize("talk", LOBBIES, ids=repr)
async def test_nothing_is_heard_before_a_session_is_asked_for(talk):
    host = Host()
    async with site({"host": host}) as here, visiting(here, talk.path) as guest:
        await guest.send(*talk.opening[:-1], json.dumps(talk.valid[0]))
        await guest.until(lambda: False)
    assert guest.end in [
        (BAD_DATA, "session.start must come first, got session.input_audio.append"),
        (BAD_DATA, "the first message must be a setup"),
        (BAD_DATA, "media before start"),
    ]
    assert not host.asked


@pytest.mark.parametrize("talk", TALKS, ids=repr)
async def test_a_minute_at_once_is_heard_and_more_is_refused(talk):
    host, reason = Host(), "a message may hold 60 s of sound"
    async with site({"host": host, "echo": open_echo({})}) as here, beside(here) as ticks:
        async with visiting(here, talk.path) as guest:
            await guest.send(*talk.opening, talk.lasting(60))
            assert await still_works(talk, guest, host), guest.end
            done = len(ticks)
            await guest.send(talk.lasting(61))
            await guest.until(lambda: bool(talk.forgives and errors(guest)))
            assert guest.end == (None if talk.forgives else (TOO_BIG, reason))
            if talk.forgives:
                assert [error["message"] for error in errors(guest)] == [reason]
                assert await still_works(talk, guest, host), guest.end
        while len(ticks) == done:  # noqa: ASYNC110 (the neighbour goes on)
            await asyncio.sleep(0.005)


async def test_a_telephones_sound_in_a_long_message_is_refused():
    """12 MB of it are 19 minutes, and may take no longer than other sound."""
    host = Host()
    async with site({"host": host, "echo": open_echo({})}) as here, beside(here) as ticks:
        async with visiting(here, REALTIME.path) as guest:
            update = {"type": "session.update", "session": {"input_audio_format": "g711_ulaw"}}
            await guest.send(update, REALTIME.loud("/" * 12_000_000))
            await guest.until(lambda: bool(errors(guest)))
            assert errors(guest)[0]["message"] == "a message may hold 60 s of sound"
            assert await still_works(REALTIME, guest, host), guest.end
        assert ticks


@pytest.mark.parametrize("talk", TALKS, ids=repr)
async def test_a_storm_of_settings_is_weathered(talk):
    host = Host()
    async with site({"host": host, "echo": open_echo({})}) as here, beside(here), visiting(here, talk.path) as guest:
        await guest.send(*talk.opening, *stormed(talk, 200))
        assert await still_works(talk, guest, host), guest.end
    if talk.forgives:
        acks = [message for message in guest.messages if '"type":"session.updated"' in message]
        assert len(acks) == 200
    kind = Remember if talk is TWILIO else Instruct
    heard = [note for note in host.notes if isinstance(note, kind) and WORD not in str(note)]
    assert len(heard) >= 200 and "9" in str(heard[-2:])


@pytest.mark.parametrize("depth", [97, 98, 900, 976, 978, 980])  # the last were read, and then could not be told back
async def test_settings_that_are_too_deep_are_refused(depth):
    update = {"type": "session.update", "session": {"input_audio_transcription": {"a": 1}}}
    host = Host()
    async with site({"host": host}) as here, visiting(here, REALTIME.path) as guest:
        await guest.send(nested(update, ("session", "input_audio_transcription", "a"), depth, "object"))
        assert await still_works(REALTIME, guest, host), guest.end
    said = next(filter(None, ({"error": "no", "session.updated": "yes"}.get(kind) for kind in kinds(guest))))
    assert said == ("yes" if depth == 97 else "no")


def kinds(guest: Guest) -> list[str]:
    return [json.loads(message)["type"] for message in guest.messages]


async def test_half_a_letter_in_a_setup_is_refused_with_a_reason_that_can_be_written():
    setup = {"setup": {"generationConfig": {"responseModalities": "\ud800"}}}
    async with site({"host": Host()}) as here, visiting(here, GEMINI.path) as guest:
        await guest.send(setup)
        await guest.until(lambda: False)
    assert guest.end == (BAD_DATA, "a message must be JSON of whole characters: surrogates not allowed")


class BreaksAtOnce:
    """A wire that is wrong, and the socket of a client whose first message is there before anything is done."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []

    async def receive(self, timeout_s: float) -> str:
        return "anything"

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)


class BrokenWire(PcmWire):
    lulls = 0

    def receive(self, message):
        raise RuntimeError("a bug")


class BrokenSteadyWire(BrokenWire):
    def lull(self):
        self.lulls += 1
        return silence(self.lulls - 1)


@pytest.mark.parametrize("kind", [BrokenSteadyWire, BrokenWire])
async def test_a_wire_that_breaks_ends_the_conversation_at_once(kind):
    session, wire, now = await open_echo({}).open(SessionConfig()), kind("s16"), time.monotonic
    pace = pace_of(wire, 0.24, now)
    talk = Conversation(session, wire, BreaksAtOnce(), pace, ServerConfig(), now, [Reply(("hi",))])
    end = await asyncio.wait_for(talk.run(asyncio.Event()), 10)
    assert end.code == 1011 and wire.lulls == 0


# --- those who say nothing, and those who find no seat ----------------------------------------------------------------

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Silent:
    """A client that connects and says nothing, and costs this process next to nothing."""

    def __init__(self, here: Site, path: str) -> None:
        self._address = ("127.0.0.1", int(here.base.rpartition(":")[2]))
        self._path, self._got = path, b""
        self._socket = socket.socket()
        self._socket.setblocking(False)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, self._address)
        await loop.sock_sendall(self._socket, HANDSHAKE.format(path=self._path).encode())
        head = await self._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")

    async def end(self) -> tuple[int, str]:
        """(close code, reason), when the server hangs up."""
        while True:
            kind, payload = await self._frame()
            if kind == 8:
                self._socket.close()
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def close(self) -> None:
        self._socket.close()

    async def _frame(self) -> tuple[int, bytes]:
        head = await self._take(2)
        size = head[1] & 127
        assert size < 127
        size = int.from_bytes(await self._take(2), "big") if size == 126 else size
        return head[0] & 15, await self._take(size)

    async def _take(self, size: int) -> bytes:
        while len(self._got) < size:
            await self._more()
        taken, self._got = self._got[:size], self._got[size:]
        return taken

    async def _until(self, end: bytes) -> bytes:
        while end not in self._got:
            await self._more()
        return await self._take(self._got.index(end) + len(end))

    async def _more(self) -> None:
        more = await asyncio.get_running_loop().sock_recv(self._socket, 4_096)
        assert more, "the server went without a word"
        self._got += more


def crowd(here: Site, wanted: int) -> list[Silent]:
    """As many as this system lets one process have, both ends counted, up to `wanted`; on all lobby routes."""
    resource = pytest.importorskip("resource")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [Silent(here, LOBBIES[i % 3].path) for i in range(min(wanted, (files - 200) // 2))]


async def test_a_thousand_that_say_nothing_are_let_go():
    async with site({"host": Host(), "echo": open_echo({})}, idle_s=3) as here, beside(here) as ticks:
        few = asyncio.Semaphore(32)

        async def visit(silent: Silent) -> tuple[int, str]:
            async with few:
                await silent.connect()
            return await silent.end()

        guests = crowd(here, 1_000)
        assert len(guests) >= 300, "too few files may be open here to call it a crowd"
        ends = await asyncio.gather(*map(visit, guests))
        assert set(ends) == {(POLICY, "no session was asked for in 3 s")} and len(ticks) > 10
        assert here.house.in_use["host"] == 0


async def test_saying_nothing_costs_little():
    async with site({"host": Host()}, idle_s=100) as here:
        first, *others = crowd(here, 100)
        await first.connect()
        gc.collect()
        tracemalloc.start()
        try:
            for silent in others:
                await silent.connect()
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            for silent in (first, *others):
                silent.close()
    assert held / len(others) < 40 << 10


async def test_talking_without_asking_for_a_session_is_no_way_to_stay():
    async with site({"host": Host()}, idle_s=0.5) as here, visiting(here, "/twilio") as guest:
        async with asyncio.timeout(30):
            while not guest.end:
                await guest.send(*[TWILIO.opening[0]] * 50)
                await asyncio.sleep(0)
        assert guest.end == (POLICY, "no session was asked for in 0.5 s")


@pytest.mark.parametrize("talk", TALKS, ids=repr)
async def test_a_full_server_says_so_at_once(talk):
    host = Host(seats=1)
    async with site({"host": host, "echo": open_echo({})}) as here, beside(here):
        async with visiting(here, REALTIME.path) as inside:
            await inside.until(lambda: bool(inside.messages))
            async with await here.call(talk.path) as late:
                for message in talk.opening:
                    await late.send_str(json.dumps(message))
                messages, code, reason = await ending(late)
            assert (code, reason) == (TRY_LATER, "all 1 seats are taken")
            told = [json.loads(message)["error"]["message"] for message in messages]
            assert told == ([reason] if talk.forgives else [])  # Google and Twilio have the reason of the close
            assert inside.end is None
        await emptied(here, "host")
        async with visiting(here, talk.path) as guest:
            await guest.send(*talk.opening)
            assert await still_works(talk, guest, host), guest.end
