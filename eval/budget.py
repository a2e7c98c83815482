"""Audio token budget: how many tokens a conversation costs a system, how long its context lasts, and what is paid.

Two rates are never mixed: *codes a second*, which a stream carries and a model computes, and *positions a second*,
which attention and context pay for; Moshi has 17 codes in each position. Rates and prices are in budget.toml, with
sources and dates. Everything here is arithmetic on a `System` and a `Talk`; the formulae are those of the providers'
documentation. An unknown number is None and stays None in whatever is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from duplex.config import from_dict, merged, read_toml
from duplex.frame import TICK_HZ

_KNOWN = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens unless the name says otherwise; None: unknown."""

    date: str
    text_in: float | None = None
    audio_in: float | None = None
    cached_in: float | None = None  # audio that was sent before and is billed as cached
    text_out: float | None = None
    audio_out: float | None = None
    session_minute: float | None = None
    user_minute: float | None = None  # of the user's speech, for a transcriber
    million_characters: float | None = None  # of the agent's words, for a synthesiser


@dataclass(frozen=True, slots=True)
class System:
    """Rates are tokens per second of audio that is tokenised; 0: that side makes none, None: unknown."""

    kind: Literal["native", "api", "cascade"]
    source: str
    user_hz: float | None = None
    agent_hz: float | None = None
    text_hz: float = 0.0  # beside the agent's audio, as long as that lasts
    positions_hz: float | None = None  # None: the context counts tokens
    context: int | None = None  # positions where there are any, else tokens; what may be used for a conversation
    bits: float | None = None  # of one audio code
    kv_bytes: int | None = None  # of one position
    session_minutes: float | None = None  # the longest session
    hears_silence: bool = False  # the user's side is tokenised all the time, not only while he talks
    speaks_silence: bool = False
    resends: bool = False  # every answer is billed for all that was said before
    prices: Prices | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation: who talks how much of it, in how many turns. Raises ValueError for what cannot be."""

    minutes: float = 10.0
    user_share: float = 0.4
    agent_share: float = 0.4
    turns_per_minute: float = 4.0  # of each side
    words_per_minute: float = 150.0  # while somebody talks
    characters_per_word: float = 6.0  # the blank included
    instructions: int = 500  # text tokens before the first turn

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.turns_per_minute <= 0:
            raise ValueError("minutes and turns_per_minute must be above 0")
        if not (0 <= self.user_share <= 1 and 0 <= self.agent_share <= 1):
            raise ValueError("user_share and agent_share are from 0 to 1")

    @property
    def turns(self) -> int:
        return max(1, round(self.minutes * self.turns_per_minute))


def systems(prices: Path | None = None) -> dict[str, System]:
    """All that budget.toml knows, with the tables of another such file merged over it. Raises ConfigError."""
    known, other = read_toml(_KNOWN), read_toml(prices) if prices else {}
    tables = {name: merged(known.get(name, {}), other.get(name, {})) for name in known | other}
    return {name: from_dict(System, table, name) for name, table in tables.items()}


def of_config(config: Mapping[str, Any], dtype_bytes: int, source: str) -> System:
    """Any checkpoint of Moshi's format, from its config.json."""
    codes_hz = TICK_HZ * config["dep_q"]
    return System(
        kind="native",
        source=source,
        user_hz=codes_hz,
        agent_hz=codes_hz,
        text_hz=TICK_HZ,
        positions_hz=TICK_HZ,
        context=config["context"],
        bits=(config["card"] - 1).bit_length(),
        kv_bytes=2 * config["num_layers"] * config["dim"] * dtype_bytes,
        hears_silence=True,
        speaks_silence=True,
    )


# --- rates ------------------------------------------------------------------------------------------------------------


def codes_per_s(system: System, talk: Talk) -> float | None:
    """Tokens a second of conversation, both sides and text."""
    if system.user_hz is None and system.agent_hz is None:
        return 0.0 if system.kind == "cascade" else None
    user, agent = heard_share(system, talk), said_share(system, talk)
    return user * (system.user_hz or 0.0) + agent * ((system.agent_hz or 0.0) + system.text_hz)


def heard_share(system: System, talk: Talk) -> float:
    """Of the time, that the user's side is tokenised."""
    return 1.0 if system.hears_silence else talk.user_share


def said_share(system: System, talk: Talk) -> float:
    return 1.0 if system.speaks_silence else talk.agent_share


def bits_per_s(system: System) -> float | None:
    """Of one side's audio while it is tokenised: codes a second times bits a code."""
    side_hz = system.agent_hz or system.user_hz
    return None if system.bits is None or side_hz is None else side_hz * system.bits


def context_minutes(system: System, talk: Talk) -> float | None:
    """How long a conversation may last before its beginning is forgotten."""
    per_s = system.positions_hz if system.positions_hz is not None else codes_per_s(system, talk)
    return system.context / (60 * per_s) if system.context and per_s else None


def kv_bytes(system: System, seconds: float) -> int | None:
    """Memory of one conversation's keys and values after so long: it grows until the context is full."""
    if None in (system.kv_bytes, system.positions_hz, system.context):
        return None
    return round(system.kv_bytes * min(system.context, system.positions_hz * seconds))  # type: ignore[operator, type-var]


def played_efficiency(generated: float, played: float) -> float | None:
    """What was heard of what was made and paid for; None when nothing was made."""
    return played / generated if generated else None


def characters(talk: Talk) -> float:
    """Of the agent's words, for a synthesiser; whoever makes no more than is heard."""
    return talk.minutes * talk.agent_share * talk.words_per_minute * talk.characters_per_word


# --- money ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bill:
    """Of one conversation, in tokens. What is sent again is not new."""

    new_audio_in: float
    resent: float  # sent again with later turns: by a tenth of the conversation it is most of the bill
    audio_out: float
    text_in: float
    text_out: float


def bill(system: System, talk: Talk) -> Bill:
    """Turn by turn: the input of turn k is the instructions, all the user said up to k and all the agent said before.

    It never exceeds the context. Source: section "Costs" of the OpenAI Realtime guide; Gemini Live bills alike.
    """
    seconds, turns = talk.minutes * 60, talk.turns
    heard = seconds * heard_share(system, talk) * (system.user_hz or 0.0)
    said = seconds * said_share(system, talk) * (system.agent_hz or 0.0)
    written = seconds * said_share(system, talk) * system.text_hz
    instructions = talk.instructions if system.kind == "api" else 0
    if not system.resends:
        return Bill(heard, 0.0, said, instructions, written)
    limit = float("inf") if system.context is None else max(0, system.context - instructions)
    resent = sum(min(limit, k * (heard + said) / turns) for k in range(turns))
    return Bill(heard, resent, said, instructions * turns, written)


def cost_usd(system: System, talk: Talk, cached: float = 0.0) -> float | None:
    """One conversation; `cached` is the share of what is sent again that is billed as cached.

    None when a price that is needed is unknown, or none is asked (weights that run here cost a machine, not tokens).
    """
    prices = system.prices
    if prices is None:
        return None
    if prices.session_minute is not None:
        return prices.session_minute * talk.minutes
    if system.kind == "cascade":
        return _cascade_usd(prices, talk)
    made = bill(system, talk)
    again, never = made.resent * cached, made.resent * (1 - cached)
    legs = (
        (made.new_audio_in + never, prices.audio_in),
        (again, prices.cached_in),
        (made.audio_out, prices.audio_out),
        (made.text_in, prices.text_in),
        (made.text_out, prices.text_out),
    )
    if any(tokens and price is None for tokens, price in legs):
        return None
    return sum(tokens * (price or 0.0) for tokens, price in legs) / 1e6


def _cascade_usd(prices: Prices, talk: Talk) -> float | None:
    """Transcriber and synthesiser, without the language model between them."""
    if prices.user_minute is None or prices.million_characters is None:
        return None
    letters = characters(talk)
    return talk.minutes * talk.user_share * prices.user_minute + letters * prices.million_characters / 1e6
