"""Tools by voice: spoken requests that must call get_weather(city), and talk that must not, through STT and the choice.

`python -m eval.toolbench --out FILE.json`. The texts are in `eval/tools.txt`, the talk also in
`weights/intents.txt`; the set "dev" was looked at while the choice was written, "test" has other wordings,
cities and talk. Speech is clean.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from duplex.agents.cascade.config import PERSONA, LlmConfig, SttConfig
from duplex.agents.cascade.llm import Llama
from duplex.agents.cascade.stt import Whisper
from duplex.agents.cascade.tools import Call, choose
from duplex.agents.cascade.vad import EAR_HZ
from duplex.agents.cascade.wording import words
from duplex.frame import SAMPLE_RATE
from duplex.notes import Tool
from eval.provenance import provenance
from eval.statistics import spread
from weights.intents import intents
from weights.kokoro import HELD_OUT
from weights.voices import AGENT, NoEngine, Voice, speaker, voices

CALLS, TALKS = 50, 50
_FLITE = ("slt", "awb", "kal16", "rms")  # as they are
_BENT = 4  # of the held-out hibari voices, besides the plain one
_QUIET = np.zeros(EAR_HZ * 3 // 10, np.float32)  # around a turn, as the cascade keeps it


def _tool(name: str, description: str, **properties: dict[str, Any]) -> Tool:
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(properties)})


_TEXT: dict[str, Any] = {"type": "string"}
WEATHER = _tool("get_weather", "Get the current weather in a city.", city=_TEXT | {"description": "Name of the city"})
OTHERS = (
    _tool("set_timer", "Start a timer.", minutes={"type": "integer"}),
    _tool("play_music", "Play a song or an artist.", title=_TEXT),
    _tool("switch_light", "Turn the light in a room on or off.", room=_TEXT, state={"enum": ["on", "off"]}),
    _tool("find_restaurant", "Search for restaurants of a cuisine nearby.", cuisine=_TEXT),
    _tool("get_time", "Current local time in a city", city=_TEXT),
    _tool("add_to_list", "Add an item to the shopping list.", item=_TEXT),
)


@dataclass(frozen=True, slots=True)
class Heard:
    said: str
    heard: str  # by whisper
    city: str  # "" where nothing is to be called
    voice: str


@dataclass(frozen=True, slots=True)
class Outcome:
    of: Heard
    called: str  # "" for nothing
    arguments: dict[str, Any]
    wall_ms: float  # of the choice alone
    cpu_ms: float


def texts(which: str) -> list[tuple[str, str]]:
    """(text, city or "") of the set: 50 that call, 50 that do not."""
    lines = Path(__file__).with_name("tools.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split(" | ") for line in lines if not line.startswith("#")]
    own = {kind: sentences.split(" / ") for name, kind, sentences in parts if name == which}
    asks, cities = own["call"], own["city"]
    calls = [(asks[i % len(asks)].format(x=city), city) for i in range(CALLS) for city in [cities[i % len(cities)]]]
    return calls + [(text, "") for text in [*own["talk"], *_small_talk(which, TALKS - len(own["talk"]))]]


@cache
def people() -> dict[str, Voice]:
    """Who speaks, by name: hibari, hibari bent into others, and the people of the synthesisers that are installed."""
    bent = [voice for voice in voices("test") if voice.speed == 1.0]
    found = {"hibari": AGENT} | {f"hibari-{i}": v for i, v in enumerate(random.Random(0).sample(bent, _BENT))}
    for engine, bases in (("flite", _FLITE), ("kokoro", HELD_OUT)):
        try:
            speaker(engine)
        except NoEngine:
            continue
        found |= {f"{engine}-{base}": Voice(engine, base=base) for base in bases}
    return found


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Counts over what must call and what must not."""
    asked, talk = [each for each in outcomes if each.of.city], [each for each in outcomes if not each.of.city]
    named = [each for each in asked if each.called == WEATHER.name]
    got = [(str(each.arguments.get("city", "")), each.of.city) for each in named]
    right = [each for each in named if words(str(each.arguments.get("city", ""))) == words(each.of.city)]
    engines = Counter(each.of.voice.split("-")[0] for each in asked)
    by_engine = Counter(each.of.voice.split("-")[0] for each in right)
    audible = sum(" ".join(words(each.of.city)) in " ".join(words(each.of.heard)) for each in asked)
    return {
        "must_call": {
            "n": len(asked),
            "right_call": len(named),
            "right_city_exact": sum(city == wanted for city, wanted in got),
            "right_city_plain": len(right),
            "city_in_transcript": audible,
            "right_city_by_engine": {engine: {"n": n, "right": by_engine[engine]} for engine, n in engines.items()},
        },
        "must_not_call": {"n": len(talk), "false_calls": sum(bool(each.called) for each in talk)},
        "decision_wall_ms": spread(each.wall_ms for each in outcomes),
        "decision_cpu_ms": spread(each.cpu_ms for each in outcomes),
        "decision_cpu_ms_of_calls": spread(each.cpu_ms for each in outcomes if each.called),
    }


async def hear(which: str, kept: Path) -> list[Heard]:
    """What whisper hears of every text, each said by the next of the people. What `kept` (JSON lines) holds is not said
    again: a run that was cut short goes on, and a choice that was changed is judged by the same words."""
    known, wanted = _known(kept), texts(which)
    if len(known) < len(wanted):
        stt = Whisper(SttConfig())
        with kept.open("a", encoding="utf-8") as file:
            for i, (text, city) in list(enumerate(wanted))[len(known) :]:
                name, pcm = _spoken(text, i)
                known.append(Heard(text, await stt.transcribe(pcm), city, name))
                print(json.dumps(asdict(known[-1]), ensure_ascii=False), file=file, flush=True)
        stt.close()
    return known


def _spoken(text: str, i: int) -> tuple[str, np.ndarray]:
    """Who says the i-th text, and how: float32 [n] at 16 kHz."""
    name, voice = list(people().items())[i % len(people())]
    pcm = resample_poly(speaker(voice.engine).speak(text, voice, seed=i).pcm, EAR_HZ, SAMPLE_RATE)
    return name, np.concatenate([_QUIET, pcm.astype(np.float32), _QUIET])


def _known(kept: Path) -> list[Heard]:
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    return [Heard(**json.loads(line)) for line in lines]


async def measure(heard: list[Heard], tools: tuple[Tool, ...]) -> list[Outcome]:
    """The choice for each, one after the other."""
    llm = Llama(LlmConfig(), 1, PERSONA)
    llm.prepare_tools()
    outcomes = [await _outcome(llm, tools, each) for each in heard]
    await llm.close()
    return outcomes


async def _outcome(llm: Llama, tools: tuple[Tool, ...], heard: Heard) -> Outcome:
    wall, cpu = time.monotonic(), time.process_time()
    call = await choose(llm, [{"role": "user", "content": heard.heard}], tools)
    wall_ms, cpu_ms = (time.monotonic() - wall) * 1000, (time.process_time() - cpu) * 1000
    name, arguments = call or Call("", "{}")
    return Outcome(heard, name, json.loads(arguments), round(wall_ms, 1), round(cpu_ms, 1))


def _small_talk(which: str, n: int) -> list[str]:
    """What else people say to an agent: of the test set the wordings that are held out there too."""
    chance = random.Random(which)
    drawn = chance.sample([intent for intent in intents().values() if intent.name != "weather"], n)
    return [
        one.asked(chance.choice(one.wordings_of("test" if which == "test" else "train")), chance.choice(one.slots))
        for one in drawn
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.toolbench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--set", choices=("dev", "test"), default="test", help="(default: %(default)s)")
    parser.add_argument("--many", action="store_true", help="six other tools are offered as well")
    parser.add_argument("--heard", type=Path, metavar="FILE.jsonl", help="transcripts, kept (default: beside --out)")
    given = parser.parse_args()
    tools = (WEATHER, *(OTHERS if given.many else ()))
    kept = given.heard or given.out.with_suffix(".heard.jsonl")
    outcomes = asyncio.run(_run(given.set, kept, tools))
    counts = summary(outcomes)
    how = {"set": given.set, "tools": [tool.name for tool in tools], "stt": SttConfig().model, "llm": LlmConfig().model}
    cases = [asdict(each) for each in outcomes]
    result = {**provenance(), **how, "voices": sorted({each.of.voice for each in outcomes}), **counts, "cases": cases}
    given.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(counts, indent=1))


async def _run(which: str, kept: Path, tools: tuple[Tool, ...]) -> list[Outcome]:
    return await measure(await hear(which, kept), tools)


if __name__ == "__main__":
    main()
