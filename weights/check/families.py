"""All families of trials, played together and judged one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from duplex.session import Agent
from weights.check.hearing import Family, Hearing, Scale
from weights.check.long import Long
from weights.check.overlaps import Backchannels, Interruptions
from weights.check.play import Take, play
from weights.check.quiet import Asides, Unprompted
from weights.check.table import Row
from weights.check.turns import Answers, Pauses
from weights.check.unusual import Unusual
from weights.check.users import Script

_ALL: tuple[Family, ...] = (
    *(Answers(), Pauses(), Interruptions(), Backchannels(), Unprompted(), Asides(), Unusual(), Long()),
)
FAMILIES = {family.name: family for family in _ALL}

Takes = tuple[list[Take], list[Take]]  # the first trials of a family, and those that depend on them


async def played(
    agent: Agent, families: Sequence[Family], scale: Scale, keep: Path | None, progress: Progress
) -> list[Takes]:
    """What each family's trials became. Closes the agent."""
    try:
        first = await _together(agent, [family.scripts(scale) for family in families], scale, keep, progress)
        then = [family.more(takes, scale) for family, takes in zip(families, first, strict=True)]
        second = await _together(agent, then, scale, keep, progress)
    finally:
        await agent.close()
    return list(zip(first, second, strict=True))


def judged(
    families: Sequence[Family], both: Sequence[Takes], hearing: Hearing, progress: Progress
) -> dict[str, list[Row]]:
    """Every family's rows."""
    pairs = progress.track(list(zip(families, both, strict=True)), description="judging")
    return {family.name: family.rows(first, second, hearing) for family, (first, second) in pairs}


async def _together(
    agent: Agent, scripts: Sequence[list[Script]], scale: Scale, keep: Path | None, progress: Progress
) -> list[list[Take]]:
    """All scripts in one go, the takes by family again."""
    flat = [script for own in scripts for script in own]
    task = progress.add_task(f"playing {len(flat)} trials", total=1.0)
    takes = iter(await play(agent, flat, scale.together, keep, lambda share: progress.update(task, completed=share)))
    progress.update(task, completed=1.0)
    return [[next(takes) for _ in own] for own in scripts]
