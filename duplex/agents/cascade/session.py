"""One conversation with the cascade: endpointing, speculation, barge-in, and the release of answers on the clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Literal

import numpy as np

from duplex.agents.cascade.answer import Answer, Called, Reached, Step, Understood
from duplex.agents.cascade.config import CascadeConfig
from duplex.agents.cascade.due import Due, Ready, in_thread
from duplex.agents.cascade.listening import Listening
from duplex.agents.cascade.memory import Memory
from duplex.agents.cascade.mouth import Mouth, Phrase
from duplex.agents.cascade.reply import Reply
from duplex.agents.cascade.stopping import Stopping
from duplex.agents.cascade.vad import Score
from duplex.events import (
    Answered,
    Answering,
    Failed,
    Hop,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Transcript,
)
from duplex.frame import FRAME_MS, PLAYOUT_LAG, SAMPLE_RATE, Event, Frame
from duplex.notes import (
    Commit,
    Discard,
    Heard,
    Hush,
    Image,
    Instruct,
    Note,
    Remember,
    Respond,
    Rewrite,
    Say,
    ToolResult,
    TurnTaking,
    TypedText,
    UseTools,
    UseVoice,
)
from duplex.session import Capabilities, SessionConfig, Ticks, Unsupported, cannot
from duplex.turns import Edge

NOTES = (
    Say, TypedText, Remember, Rewrite, Heard, Commit, Discard, Respond, Hush, Instruct, UseVoice, ToolResult, UseTools,
    TurnTaking,
)  # fmt: skip
_AUDIBLE = 10 ** (-50 / 20)  # full scale 1.0


class CascadeSession:
    """Hears with `score`, answers through `answer()`, speaks through its mouth. Frees its seat through `leave`."""

    def __init__(
        self,
        config: CascadeConfig,
        can: Capabilities,
        wish: SessionConfig,
        score: Score,
        answer: Callable[[str, Memory, UseTools], Answer],  # voice, what was said, tools
        prepare_tools: Callable[[], None],
        hearing: Executor,
        now: Callable[[], float],
        leave: Callable[[], None],
    ) -> None:
        self._config, self._can, self._new_answer = config, can, answer
        self._prepare_tools, self._hearing, self._now, self._leave = prepare_tools, hearing, now, leave
        self._voice = wish.voice or config.voice
        self._tells_turns = wish.turns is not None
        self._listening = Listening(config.vad, score, wish.turns or TurnTaking())
        self._ticks, self._t = Ticks("pcm"), 0
        self._memory = Memory(wish.persona or config.persona, config.memory_chars)
        self._mouth = Mouth()
        self._use(UseTools(wish.tools))
        self._notes: list[Note] = []
        self._guess: Reply | None = None  # begun while the user may still go on
        self._reply: Reply | None = None  # the one that is being given, or waits for a Respond
        self._stopping = Stopping()
        self._events: list[Event] = []
        self._calls = itertools.count(1)
        self._open = True

    async def step(self, heard: Frame) -> Frame:
        self._ticks.check(heard)
        assert heard.pcm is not None
        self._t, self._events = heard.t, []
        self._events += await self._stopping.settled(self._t)
        for edge in await in_thread(self._hearing, self._listening.hear, heard.pcm):
            await self._turn(edge)
        await self._speculate()
        await self._take_notes()
        await self._release()
        pcm, text = self._sound()
        return Frame(heard.t, pcm, text=text, events=tuple(self._events))

    async def tell(self, note: Note) -> None:
        """Honoured in the next step, so that it has a tick like everything else."""
        if isinstance(note, Image) and not self._can.images:
            raise Unsupported("an Image needs a language model that sees: set url and images of [cascade.llm]")
        if not isinstance(note, self._can.notes):
            raise cannot(note, self._can)
        if isinstance(note, UseVoice) and note.voice not in ("", *self._can.voices):
            raise Unsupported(f"no voice {note.voice!r}; cascade has {', '.join(self._can.voices)}")
        self._notes.append(note)

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        for reply in (self._reply, self._guess):
            if reply:
                self._stopping.add(reply, "unused")
        await self._stopping.close()
        self._leave()

    # --- the user's turn --------------------------------------------------------------------------------------------

    async def _turn(self, edge: Edge) -> None:
        rules = self._listening.rules
        if edge.kind == "began":
            self._events.append(SpeechStarted(edge.sample))
            if rules.interrupt:
                await self._hush()
        else:
            self._events.append(SpeechStopped(edge.sample))
            await self._commit(edge.sample, rules.respond)

    async def _speculate(self) -> None:
        """Begin to answer in a pause that may turn out to be the end; start over when it does not."""
        if self._guess and self._guess.covers != self._listening.voiced_until:
            await self._drop_guess()
        if not self._guess and self._may_guess and self._listening.paused(self._config.speculate_after_ms):
            self._guess = self._answer_turn()
        for step in self._guess.due.waiting(self._t) if self._guess else []:
            if isinstance(step, Understood) and (edge := self._listening.understood(step.text)):
                await self._turn(edge)
                return

    @property
    def _may_guess(self) -> bool:
        """A whole sentence is only known from a guess, so whoever waits for one has guesses."""
        return self._config.speculate != "no" or self._listening.rules.wait_ms is not None

    async def _commit(self, sample: int, respond: bool) -> None:
        """The user's turn is over: from here on its words, and if `respond` the answer, are wanted."""
        if self._guess and self._guess.covers != self._listening.voiced_until:
            await self._drop_guess()
        reply, self._guess = self._guess or self._answer_turn(), None
        await reply.due.pace(self._t)  # what comes after `wanted` must not begin before this tick
        await self._give(reply, respond)
        reply.spoken_until = sample
        self._hop("endpoint", (self._t + 1) * FRAME_MS)

    def _answer_turn(self) -> Reply:
        answer, wanted = self._answer(), asyncio.Event()
        if self._config.speculate == "reply" and self._listening.rules.respond and self._listening.rules.detect:
            wanted.set()
        reply = self._begin(answer, answer.to_speech(self._listening.turn.copy(), wanted))
        reply.covers, reply.wanted = self._listening.voiced_until, wanted
        return reply

    # --- notes ------------------------------------------------------------------------------------------------------

    async def _take_notes(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            await self._drop_guess()  # it knows nothing of them
        for note in notes:
            await self._take(note)

    async def _take(self, note: Note) -> None:
        if isinstance(note, TypedText):
            answer = self._answer()
            await self._give(self._begin(answer, answer.to_text(note.text)))
            self._memory.hear(note.text)
        elif isinstance(note, Say):
            answer = self._answer()
            await self._give(self._begin(answer, answer.aloud(note.text)))
        elif isinstance(note, Respond):
            await self._respond(note.persona)
        elif isinstance(note, Hush):
            await self._hush("cancelled")
        elif isinstance(note, Commit):
            if edge := self._listening.end():
                await self._commit(edge.sample, respond=False)
        elif isinstance(note, Discard):
            self._listening.discard()
        else:
            self._learn(note)

    def _learn(self, note: Note) -> None:
        """What changes no answer that is being given."""
        if isinstance(note, UseVoice):
            self._voice = note.voice or self._config.voice
        elif isinstance(note, UseTools):
            self._use(note)
        elif isinstance(note, TurnTaking):
            self._listening.obey(note)
        else:
            self._memory.learn(Instruct(self._config.persona) if note == Instruct("") else note)

    def _use(self, tools: UseTools) -> None:
        self._tools = tools
        if tools.tools:
            self._prepare_tools()

    async def _respond(self, persona: str) -> None:
        """Answer the turn that waits for it, or else what was said so far; an answer that is being given is one."""
        if self._reply and self._reply.begun:
            return
        if self._reply:
            self._reply.answer.memory.persona = persona or self._reply.answer.memory.persona
            self._want(self._reply)
            return
        answer = self._answer()
        answer.memory.persona = persona or answer.memory.persona
        await self._give(self._begin(answer, answer.to_all()))

    # --- the answer -------------------------------------------------------------------------------------------------

    def _answer(self) -> Answer:
        return self._new_answer(self._voice, self._memory.copy(), self._tools)

    def _begin(self, answer: Answer, steps: AsyncGenerator[Step, None]) -> Reply:
        return Reply(answer, Due(steps, self._t, self._now), progress=self._t)

    async def _give(self, reply: Reply, wanted: bool = True) -> None:
        await self._hush()
        self._reply, reply.progress = reply, self._t
        if wanted:
            self._want(reply)

    def _want(self, reply: Reply) -> None:
        reply.begun, reply.progress = True, self._t
        reply.wanted.set()
        self._tell(Answering())

    async def _hush(self, why: Literal["interrupted", "cancelled"] = "interrupted") -> None:
        """Stop speaking and answering: the user's turn comes first."""
        silenced_samples = self._mouth.hush()
        if reply := self._reply:
            await reply.due.pace(self._t)
            if reply.heard and why == "interrupted":
                self._events.append(Interrupted(reply.heard.strip()))
            reply.silenced_samples = silenced_samples
            self._stopping.add(reply, "interrupted")
            self._over(reply, why)

    def _over(self, reply: Reply, why: str) -> None:
        """Nothing more will come of the answer that is being given."""
        self._reply = None
        if reply.begun:
            self._tell(Answered(why))

    def _tell(self, event: Event) -> None:
        """Of the turns of both sides, to those who asked for it."""
        if self._tells_turns:
            self._events.append(event)

    async def _drop_guess(self) -> None:
        if guess := self._guess:
            await guess.due.pace(self._t)
            self._stopping.add(guess, "unused")
            self._guess = None

    async def _release(self) -> None:
        """Take what the answer has ready in this tick."""
        if not (reply := self._reply):
            return
        for ready in await reply.due.by(self._t):
            reply.progress = self._t
            self._apply(reply, ready)
        waited_ms = (self._t - reply.progress) * FRAME_MS
        if reply.due.finished:
            self._events += reply.made()
            if not self._mouth.speaking:
                self._events += reply.wasted()
                self._over(reply, "failed" if reply.why == "failed" else "completed")
        elif waited_ms >= self._config.patience_ms and (reply.begun or not reply.understood):
            self._events.append(Failed(reply.answer.stage, f"nothing for {waited_ms / 1000:g} s"))
            self._stopping.add(reply, "failed")
            self._over(reply, "failed")

    def _apply(self, reply: Reply, ready: Ready[Step]) -> None:
        step, at_ms = ready.item, (reply.due.began + 1) * FRAME_MS + ready.ms
        if isinstance(step, Understood):
            reply.understood = True
            self._hop("stt", at_ms)
            if step.text:
                self._events.append(Transcript(step.text))
                self._memory.hear(step.text)
        elif isinstance(step, Reached):
            self._hop(step.stage, at_ms)
        elif isinstance(step, Called):
            self._events.append(ToolCall(f"call_{next(self._calls)}", step.name, step.arguments))
        elif isinstance(step, Failed):
            reply.why = "failed"
            self._events.append(step)
        elif len(step.pcm):
            self._voice_phrase(reply, step, at_ms)

    def _voice_phrase(self, reply: Reply, phrase: Phrase, at_ms: float) -> None:
        if not reply.phrases:
            silent_ms = int(np.argmax(np.abs(phrase.pcm) > _AUDIBLE)) * 1000 / SAMPLE_RATE
            self._hop("tts_first_chunk", at_ms)
            self._hop("release", (self._t + PLAYOUT_LAG) * FRAME_MS + silent_ms)
        reply.phrases.append(phrase)
        self._mouth.add(phrase)

    def _hop(self, stage: str, at_ms: float) -> None:
        """`at_ms` on the session's clock; said only of answers to speech."""
        if self._reply and self._reply.spoken_until is not None:
            self._events.append(Hop(stage, round(at_ms - self._reply.spoken_until * 1000 / SAMPLE_RATE, 1)))

    def _sound(self) -> tuple[np.ndarray, str]:
        pcm, text = self._mouth.next()
        self._memory.voice(text)
        if self._reply:
            self._reply.heard += text
        return pcm, text
