"""One answer on the session's clock, and the account of it: what it took to make, and what of that was for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from duplex.agents.cascade.answer import Answer, Step
from duplex.agents.cascade.due import Due
from duplex.agents.cascade.mouth import Phrase
from duplex.events import Made, Wasted
from duplex.frame import SAMPLE_RATE, Event


@dataclass
class Reply:
    """An answer on the clock."""

    answer: Answer
    due: Due[Step]
    covers: int = 0  # the sample up to which the user's speech went into it
    spoken_until: int | None = None  # where the user's speech ended, once that is certain; None: nobody spoke
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    progress: int = 0  # the tick in which it last brought something
    heard: str = ""  # what of it has been voiced
    understood: bool = False  # its transcript was released
    begun: bool = False  # it was told that it is being given
    phrases: list[Phrase] = field(default_factory=list)  # that were released
    silenced_samples: int = 0  # of these phrases, never to sound
    why: str = "unfinished"  # what has become of the rest of it: see Wasted
    told: bool = False  # that it was Made

    def made(self) -> Iterator[Event]:
        """Once, when the work on it is over."""
        if self.due.finished and not self.told:
            self.told, work = True, self.answer.work
            yield Made(round(work.heard_ms, 1), work.pieces, work.letters, round(work.voiced_ms, 1))

    def wasted(self) -> Iterator[Event]:
        """When it is made, and sounds no more; nothing where nothing was for nothing."""
        work, sounded = self.answer.work, list(self._sounded())
        lost = Wasted(
            heard_ms=0.0 if self.understood else round(work.heard_ms, 1),
            pieces=work.pieces - round(sum(share * phrase.pieces for phrase, share in sounded)),
            letters=work.letters - round(sum(share * len(phrase.text) for phrase, share in sounded)),
            voiced_ms=round(work.voiced_ms - sum(share * _ms(phrase) for phrase, share in sounded), 1),
            why=self.why,
        )
        if lost.heard_ms or lost.pieces or lost.letters or lost.voiced_ms:
            yield lost

    def _sounded(self) -> Iterator[tuple[Phrase, float]]:
        """Every phrase that was released, and the share of it that has sounded."""
        left = sum(len(phrase.pcm) for phrase in self.phrases) - self.silenced_samples
        for phrase in self.phrases:
            yield phrase, min(1.0, max(0, left) / len(phrase.pcm))
            left -= len(phrase.pcm)


def _ms(phrase: Phrase) -> float:
    return len(phrase.pcm) * 1000 / SAMPLE_RATE
