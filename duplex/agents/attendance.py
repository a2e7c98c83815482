"""What attends to one conversation of a full-duplex model: its turns as events, its transcript, its tools.

It never decides when the model speaks. It sees the user's sound and the model's, and tells; the little that it does is
to give the model words, to keep its sound from the user, and to say of an answer that never came that it was empty.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from duplex.agents.aside import Aside, Called, Thought, Understood, Worded
from duplex.agents.cascade.due import Due, in_thread
from duplex.agents.cascade.listening import Listening
from duplex.agents.cascade.memory import Memory
from duplex.agents.voice import Change, Voice
from duplex.events import Answered, Answering, Failed, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_MS, FRAME_SAMPLES, Event, Frame
from duplex.notes import Commit, Discard, Hush, Note, Respond, Say, ToolResult, TurnTaking, UseTools
from duplex.session import SessionConfig, Unsupported
from duplex.turns import Edge

if TYPE_CHECKING:
    from duplex.agents.attended import Row

_PATIENCE_MS, _WORKING_MS = 3_000, 10_000  # an answer is waited for, and longer while there is work on it
_PAUSED_MS = 160.0  # the user is quiet for so long, and the agent speaks up: it takes the turn for over


class Attendance:
    """Sees every frame of both sides. Needs an ear; speech-to-text and a language model where they are asked for."""

    def __init__(self, row: Row, wish: SessionConfig, aside: Aside, now: Callable[[], float]) -> None:
        self._row, self._aside, self._now = row, aside, now
        self._tells_turns = wish.turns is not None or not (wish.transcribe or wish.tools)  # a note asked, or the wish
        self._transcribes, self._tools = wish.transcribe, UseTools(wish.tools)
        rules = replace(wish.turns or TurnTaking(), wait_ms=None)
        self._listening = Listening(aside.config.vad, aside.listener(), rules)
        self._memory = Memory(aside.config.persona, aside.config.memory_chars)
        self._voice = Voice()
        self._hushed = False  # what sounds now is kept from the user
        self._turn_began = 0  # the user's last one, in samples
        self._owed: int | None = None  # since this tick an answer is expected
        self._told_results = True  # there is no tool's result that was not spoken of
        self._jobs: list[Due[Thought]] = []
        self._wording: Due[Thought] | None = None  # the one of them that words a result
        self._calls = itertools.count(1)
        self._events: list[Event] = []
        self._t = 0
        self.notes: list[Note] = []  # for the next step

    async def step(self, heard: Frame, said: Frame) -> Frame:
        """Both sides of a tick -> what the user gets of the agent's."""
        assert heard.pcm is not None and said.pcm is not None
        self._t, self._events = heard.t, [*said.events]
        for edge in await in_thread(self._aside.hearing, self._listening.hear, heard.pcm):
            self._user(edge)
        notes, self.notes = self.notes, []
        for note in notes:
            self._take(note)
        await self._release()
        kept = self._speak(said.pcm, said.text)
        self._watch()
        events = tuple(self._events)
        if kept:
            return replace(said, pcm=np.zeros(FRAME_SAMPLES, np.float32), text="", events=events)
        self._memory.voice(said.text)
        return replace(said, events=events)

    async def close(self) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            await job.close()

    # --- the user ---------------------------------------------------------------------------------------------------

    def _user(self, edge: Edge) -> None:
        if edge.kind == "ended":
            self._stopped(edge)
            if not (self._speaking and self._voice.began >= self._turn_began):
                self._owed = self._t
            return
        self._events.append(SpeechStarted(edge.sample))
        self._turn_began = edge.sample
        self._row.drop()
        if self._wording:
            self._wording.cancel()
            self._wording = None
        if self._speaking:
            self._voice.interrupted(edge.sample)
        elif self._owed is not None:
            self._empty("interrupted")

    def _stopped(self, edge: Edge) -> None:
        self._events.append(SpeechStopped(edge.sample))
        if self._transcribes or self._tools.tools:
            self._begin(self._aside.understand(self._listening.turn.copy(), self._memory.copy(), self._tools))

    # --- notes ------------------------------------------------------------------------------------------------------

    def _take(self, note: Note) -> None:
        if isinstance(note, Commit):
            if edge := self._listening.end():
                self._stopped(edge)
        elif isinstance(note, Discard):
            self._listening.discard()
        elif isinstance(note, TurnTaking):
            self._tells_turns = True
            self._listening.obey(replace(note, wait_ms=None))
        elif isinstance(note, UseTools):
            self._tools = note
        elif isinstance(note, Hush):
            self._row.drop()
            self._hush("cancelled")
        elif isinstance(note, Say):
            self._unhush()
        elif isinstance(note, Respond):
            self._respond()
        else:
            self._told_results = self._told_results and not isinstance(note, ToolResult)
            self._memory.learn(note)

    def _respond(self) -> None:
        """A tool's result is put into words; all else the model answers by itself, or does not."""
        if not self._told_results:
            self._told_results, self._owed = True, self._t
            self._wording = self._begin(self._aside.word(self._memory.copy()))
        elif not self._speaking and self._owed is None:
            self._owed = self._t

    def _hush(self, why: str) -> None:
        """Nothing more of what the model is saying reaches the user."""
        if self._speaking:
            self._tell(Answered(why))
            self._hushed, self._owed = True, None
            self._row.mute(True)
            self._voice.interrupted(self._t * FRAME_SAMPLES)
        elif self._owed is not None:
            self._empty(why)

    def _unhush(self) -> None:
        if self._hushed:
            self._hushed = False
            self._row.mute(False)
            self._voice.cut()

    # --- jobs in the background -------------------------------------------------------------------------------------

    def _begin(self, thoughts: AsyncGenerator[Thought, None]) -> Due[Thought]:
        job = Due(thoughts, self._t, self._now)
        self._jobs.append(job)
        return job

    async def _release(self) -> None:
        for job in self._jobs:
            for ready in await job.by(self._t):
                self._apply(ready.item)
        self._jobs = [job for job in self._jobs if not job.finished]

    def _apply(self, thought: Thought) -> None:
        if isinstance(thought, Understood):
            if thought.text:
                self._memory.hear(thought.text)
                self._events += [Transcript(thought.text)] if self._transcribes else []
        elif isinstance(thought, Called):
            self._call(thought)
        elif isinstance(thought, Worded):
            self._say(thought.text)
        else:
            self._events.append(thought)

    def _call(self, called: Called) -> None:
        """The call is the answer: what the model makes up meanwhile is not."""
        call = ToolCall(f"call_{next(self._calls)}", called.name, called.arguments)
        if self._speaking:
            self._events.append(call)
            self._hush("completed")
            return
        self._tell(Answering())
        self._events.append(call)
        self._tell(Answered())
        self._owed = None

    def _say(self, text: str) -> None:
        try:
            self._row.say(text)
            self._unhush()
            self._owed = self._t  # it begins to sound in a tick or two
        except Unsupported as error:
            self._events.append(Failed("say", str(error)))

    # --- the agent --------------------------------------------------------------------------------------------------

    @property
    def _speaking(self) -> bool:
        """The user hears an answer."""
        return self._voice.speaking and not self._hushed

    def _speak(self, pcm: np.ndarray, text: str) -> bool:
        """What the model says in this tick -> whether it is kept from the user."""
        kept = self._hushed
        for change in self._voice.push(pcm, text):
            if self._hushed:
                self._hushed = change != "ended"
                self._row.mute(self._hushed)
            else:
                kept = False
                self._answer(change)
        return kept

    def _answer(self, change: Change) -> None:
        if change == "began":
            if self._listening.paused(_PAUSED_MS) and (edge := self._listening.end()):
                self._stopped(edge)
            self._owed = None
            self._tell(Answering())
            return
        if self._voice.gave_way:
            self._events.append(Interrupted(self._voice.text.strip()))
        self._tell(Answered("interrupted" if self._voice.gave_way else "completed"))
        if self._owed is not None:
            self._owed = self._t

    def _watch(self) -> None:
        """Somebody waits for an answer, and a model may have none."""
        if self._owed is not None and not self._voice.speaking:
            limit_ms = _WORKING_MS if self._jobs else _PATIENCE_MS
            if (self._t - self._owed) * FRAME_MS >= limit_ms:
                self._empty("completed")

    def _empty(self, why: str) -> None:
        self._owed = None
        self._tell(Answering())
        self._tell(Answered(why))

    def _tell(self, event: Event) -> None:
        """Of answers, to those who asked for turns."""
        if self._tells_turns:
            self._events.append(event)
