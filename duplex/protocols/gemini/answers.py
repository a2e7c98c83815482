"""What a Gemini client is told of the agent's frames: turns, each of which ends with turnComplete.

A turn lasts as long as the client has reason to wait: an answer that calls functions, their results and the answer that
follows are one. Of an answer that was cut off before any of it was sent nobody is told, unless the client asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.genai import types

from duplex.events import (
    Answered,
    Answering,
    Failed,
    Interrupted,
    Made,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Transcript,
)
from duplex.frame import Event, Frame
from duplex.notes import Note
from duplex.protocols.gemini.calls import Calls
from duplex.protocols.gemini.outgoing import REJECTED, ServerMessage, Usage, activity, content, sound, turn
from duplex.protocols.gemini.regrets import Regrets
from duplex.protocols.gemini.setup import Setup
from duplex.protocols.sound import audible


class Answers:
    """The state of the turn."""

    def __init__(self, setup: Setup) -> None:
        self.calls = Calls()
        self.answering = False
        self.usage = Usage()
        self._setup = setup
        self._asked = False  # by the client, in so many words: it waits for an end
        self._resumed = False  # results are there, the answer that uses them is not
        self._begun = False  # something of the turn was sent
        self._called = False  # of this answer: it called functions
        self._cut = False  # it was interrupted
        self._sounding = False  # it can be heard
        self._regrets = Regrets()

    def ask(self) -> None:
        """The client has asked for an answer."""
        self._asked = True

    def resume(self) -> None:
        """The turn goes on, with the results of its calls."""
        self._resumed = True

    def close(self, why: types.TurnCompleteReason | None = None) -> list[ServerMessage]:
        """The turn is over."""
        self._asked = self._resumed = self._begun = False
        told = turn(*self._regrets.thoughts()) if why else None
        return [content(self.usage.settle(), turn_complete=True, turn_complete_reason=why, model_turn=told)]

    def declined(self, note: Note, reason: str) -> list[ServerMessage]:
        """The reason comes as a thought: at once if that was to bring an answer, else with the next words."""
        awaited = self._regrets.declined(note, reason)
        return self.close(REJECTED) if awaited and not self.answering else []

    def told(self, said: Frame) -> list[ServerMessage]:
        """One tick of the agent."""
        self.usage.heard_ticks += 1
        ends = _end_of(said.events)
        calls = [event for event in said.events if isinstance(event, ToolCall)]
        before, after = said.events[:ends], said.events[ends:]
        return [*self._events(before), *self._voiced(said, bool(after)), *self._call(calls), *self._events(after)]

    def _events(self, events: Iterable[Event]) -> list[ServerMessage]:
        return [told for event in events for told in self._event(event)]

    def _event(self, event: Event) -> list[ServerMessage]:
        match event:
            case Answering():
                return self._begin()
            case Answered(why):
                return self._end(why)
            case Interrupted():
                return self._interrupt()
            case Transcript(text) if self._setup.user_text:
                return [content(input_transcription=types.Transcription(text=text, finished=True))]
            case SpeechStarted(sample) if self._setup.activity:
                return [activity(types.VoiceActivityType.ACTIVITY_START, sample)]
            case SpeechStopped(sample) if self._setup.activity:
                return [activity(types.VoiceActivityType.ACTIVITY_END, sample)]
            case Made(pieces=pieces):
                self.usage.pieces += pieces
            case Failed(stage, reason):
                self._regrets.add(f"{stage} failed: {reason}")
        return []

    def _begin(self) -> list[ServerMessage]:
        broken = [*self._interrupt(), *self.calls.give_up(), *self.close()] if self.calls.pending else []
        self.answering = True
        self._resumed = self._called = self._cut = self._sounding = False
        return broken

    def _end(self, why: str) -> list[ServerMessage]:
        self.answering = False
        if why == "completed":
            goes_on = self._called and (self.calls.pending or self._resumed)
            return [] if goes_on else [content(generation_complete=True), *self.close()]
        if why == "failed":
            return [*self.calls.give_up(), *self.close(REJECTED)]
        cut = [*self._interrupt(), *self.calls.give_up()]
        return [*cut, *self.close()] if self._begun or self._asked else cut

    def _interrupt(self) -> list[ServerMessage]:
        told = not self._cut and (self._begun or self._asked)
        self._cut = True
        return [content(interrupted=True)] if told else []

    def _voiced(self, said: Frame, last: bool) -> list[ServerMessage]:
        if not self.answering or self._cut:
            return []
        self.usage.said_ticks += 1
        found = [*self._worded(said.text), *self._heard(said, last)]
        self._begun = self._begun or bool(found)
        return found

    def _worded(self, text: str) -> list[ServerMessage]:
        if not text:
            return []
        if not self._setup.spoken:
            return [content(model_turn=turn(*self._regrets.thoughts(), types.Part(text=text)))]
        return [content(output_transcription=types.Transcription(text=text))] if self._setup.agent_text else []

    def _heard(self, said: Frame, last: bool) -> list[ServerMessage]:
        if not self._setup.spoken or said.pcm is None:
            return []
        loud = audible(said.pcm)
        self._sounding = self._sounding or loud
        sent = loud if last else self._sounding  # silence before and after is nothing to wait for
        return [content(model_turn=turn(*self._regrets.thoughts(), sound(said.pcm)))] if sent else []

    def _call(self, calls: list[ToolCall]) -> list[ServerMessage]:
        if not calls:
            return []
        self._begun = self._called = True
        return [self.calls.ask(calls)]


def _end_of(events: tuple[Event, ...]) -> int:
    """Where an answer's last sound belongs: before the Answered that ends the tick's answer, else after all."""
    turns = [at for at, event in enumerate(events) if isinstance(event, (Answering, Answered))]
    return turns[-1] if turns and isinstance(events[turns[-1]], Answered) else len(events)
