"""Real time, on a clock that only the test moves."""

import asyncio
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame, silence
from duplex.notes import Note
from duplex.protocols.wire import Bye, Message, Steady
from duplex.server.config import ServerConfig
from duplex.server.conversation import Conversation
from duplex.server.pace import MicrophonePace, SteadyPace, pace_of
from duplex.server.routes import ROUTES
from duplex.session import Capabilities, SessionConfig
from tests.server.site import Puppet


class Clock:
    """Moves when somebody sleeps."""

    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> float:
        return self.s

    async def sleep(self, s: float) -> None:
        self.s += s
        await asyncio.sleep(0)


@given(
    ahead_s=st.sampled_from([0.0, 0.08, 0.24, float("inf")]),
    waits_s=st.lists(st.floats(0, 0.5), min_size=1, max_size=30),
)
def test_no_frame_leaves_early_and_none_is_held_longer_than_that(ahead_s, waits_s):
    clock, times = Clock(), []
    pace = MicrophonePace(ahead_s, clock.now, clock.sleep)

    async def client() -> None:
        for t, wait_s in enumerate(waits_s):
            clock.s += wait_s
            arrived = clock.s
            await pace.until(t)
            times.append((arrived, clock.s))

    asyncio.run(client())
    start = times[0][0]
    for t, (arrived, left) in enumerate(times):
        earliest = start + t * FRAME_SECONDS - ahead_s
        assert left == pytest.approx(max(arrived, earliest))


class Tape:
    """A client whose messages are ready at once; it notes when each answer reached it."""

    def __init__(self, clock: Clock, messages: Iterable[Message]) -> None:
        self._clock, self._messages = clock, iter(messages)
        self.reads = 0
        self.sent: list[tuple[Message, float]] = []

    async def receive(self, timeout_s: float) -> Message | None:
        self.reads += 1
        if (message := next(self._messages, None)) is None:
            await asyncio.Event().wait()  # connected, and silent
        return message

    async def send(self, message: Message) -> None:
        self.sent.append((message, self._clock.s))


class Counting:
    """A wire that carries one silent frame a message, and "bye"."""

    def __init__(self) -> None:
        self._t = 0

    def hello(self, can: Capabilities) -> list[Message]:
        return []

    def receive(self, message: Message) -> list[Frame | Bye]:
        if message in ("bye", ""):
            return [Bye()] if message else []
        self._t += 1
        return [silence(self._t - 1)]

    def send(self, said: Frame) -> list[Message]:
        return [f"{said.t}"]

    @staticmethod
    def declined(note: Note, reason: str) -> list[Message]:
        return [reason]

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return [reason]


class Resting(Counting):
    """The same, and its client may leave out frames."""

    def lull(self) -> Frame:
        self._t += 1
        return silence(self._t - 1)


async def talk(tape: Tape, clock: Clock, agent: Puppet, config: ServerConfig, ahead_s: float = 0.24) -> Conversation:
    session = await agent.open(SessionConfig())
    pace = MicrophonePace(ahead_s, clock.now, clock.sleep)
    return Conversation(session, Counting(), tape, pace, config, clock.now)


async def test_a_burst_is_answered_in_real_time_and_at_most_240_ms_ahead():
    clock = Clock()
    tape = Tape(clock, [*"x" * 20, "bye"])
    conversation = await talk(tape, clock, Puppet(lambda heard: heard, Capabilities("p")), ServerConfig())
    end = await conversation.run(asyncio.Event())
    assert end == (1000, "the client said goodbye")
    assert [message for message, _ in tape.sent] == [f"{t}" for t in range(20)], "nothing is lost"
    assert [s - 100 for _, s in tape.sent] == pytest.approx([max(0, t * 0.08 - 0.24) for t in range(20)])


async def test_a_bursting_client_is_not_read_further_than_the_backlog_allows():
    clock, gate = Clock(), asyncio.Event()

    async def answer(heard: Frame) -> Frame:
        await gate.wait()
        return heard

    tape = Tape(clock, [*"x" * 100, "bye"])
    agent = Puppet(answer, Capabilities("slow"))  # type: ignore[arg-type]
    conversation = await talk(tape, clock, agent, ServerConfig(max_backlog_ticks=8), ahead_s=float("inf"))
    running = asyncio.create_task(conversation.run(asyncio.Event()))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert tape.reads == 10, "8 wait, one is being answered, one is in hand"
    gate.set()
    await running
    assert len(tape.sent) == 100, "nothing is lost"


async def test_a_flood_of_tiny_messages_leaves_room_for_others():
    clock = Clock()
    tape = Tape(clock, [*[""] * 1_000, "bye"])
    conversation = await talk(tape, clock, Puppet(lambda heard: heard, Capabilities("p")), ServerConfig())
    flooding, turns = asyncio.create_task(conversation.run(asyncio.Event())), 0
    while not flooding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 1_000, "somebody else had a turn after every message"


async def test_cancelling_a_conversation_leaves_no_task_behind():
    clock = Clock()
    conversation = await talk(Tape(clock, []), clock, Puppet(lambda heard: heard, Capabilities("p")), ServerConfig())
    running = asyncio.create_task(conversation.run(asyncio.Event()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- where the client may leave out its sound -------------------------------------------------------------------------


def loud(t: int) -> Frame:
    return Frame(t, np.full(FRAME_SAMPLES, 0.5, np.float32))


def test_the_clients_of_others_may_leave_out_their_sound_and_ours_may_not():
    ours = {"/api/chat", "/api/tokens", "/api/pcm"}
    assert {path for path, route in ROUTES.items() if not issubclass(route.kind, Steady)} == ours


async def test_without_the_clients_sound_ticks_come_in_real_time():
    clock = Clock()
    pace = SteadyPace(Resting(), 0.24, clock.now, clock.sleep)
    times = []
    for t in range(10):
        clock.s += pace.lull_s()
        pace.lulled()
        await pace.until(t)
        pace.said(silence(t))
        times.append(clock.s - 100)
    assert np.diff(times) == pytest.approx(FRAME_SECONDS)
    assert times[0] == pytest.approx(0.38), "a client that has just come gets the time to begin"


async def test_a_frame_of_the_client_is_waited_for_longer_than_the_next_made_up_one():
    clock = Clock()
    pace = SteadyPace(Resting(), 0.24, clock.now, clock.sleep)
    pace.said(silence(0))
    assert pace.lull_s() == pytest.approx(0.38)
    clock.s += 0.38
    pace.lulled()
    pace.said(silence(1))
    assert pace.lull_s() == pytest.approx(0.08)


async def test_sound_sent_at_once_is_heard_at_once_and_answered_in_real_time():
    clock = Clock()
    pace, times = SteadyPace(Resting(), 0.24, clock.now, clock.sleep), []
    for t in range(20):
        await pace.until(t)
        times.append(clock.s - 100)
        pace.said(silence(t) if t < 10 else loud(t))
    assert times[:10] == [0.0] * 10
    assert times[10:] == pytest.approx([max(0.0, n * FRAME_SECONDS - 0.24) for n in range(10)])


async def test_a_conversation_goes_on_without_the_clients_sound_and_keeps_its_order():
    clock = Clock()
    tape = Tape(clock, ["x", "x"])
    session = await Puppet(lambda heard: heard, Capabilities("p")).open(SessionConfig())
    wire = Resting()
    pace = pace_of(wire, math.inf, asyncio.get_running_loop().time)
    conversation = Conversation(session, wire, tape, pace, ServerConfig(), clock.now)
    closing = asyncio.Event()
    running = asyncio.create_task(conversation.run(closing))
    while len(tape.sent) < 5:  # noqa: ASYNC110 (a tape has no reason to tell)
        await asyncio.sleep(0.01)
    closing.set()
    await running
    assert [message for message, _ in tape.sent][:5] == ["0", "1", "2", "3", "4"]
