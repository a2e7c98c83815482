"""Which tool is called, and with what: the wording, the schema, the choice of a small model and of a server."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from duplex.agents.cascade.config import PERSONA, LlmConfig
from duplex.agents.cascade.llama import Llama
from duplex.agents.cascade.tools import Call, Completion, choose, decide
from duplex.agents.cascade.topics import is_deed, sounds, topics
from duplex.agents.cascade.values import candidates
from duplex.agents.cascade.wording import asks, is_talk, misheard, numbers, stem
from duplex.notes import Tool
from tests.cascade.test_llm import FakeServer, event, serving

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Get the current weather in a city.", CITY)
MINUTES = {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]}
TIMER = Tool("set_timer", "Start a timer.", MINUTES)
NOBODY = frozenset[str]()


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Be kind."}, *({"role": "user", "content": text} for text in texts)]


class Reader:
    """Finds every sentence as likely about each of `topics`; of a grammar it takes the alternative `pick`."""

    def __init__(self, pick: str = "?", **topics: float) -> None:
        self.first, self.pick = {f" {topic}": logp for topic, logp in topics.items()}, pick
        self.prompts: list[str] = []
        self.grammars: list[str] = []

    async def complete(self, prompt: str, *, grammar: str = "", max_tokens: int = 1) -> Completion:
        self.prompts.append(prompt)
        if not grammar:
            return Completion("", self.first)
        assert json.dumps(f" {self.pick}") in grammar
        self.grammars.append(grammar)
        return Completion(f" {self.pick}\n", {})

    async def choose(self, messages: list[dict[str, str]], tools: tuple[Tool, ...], choice: str) -> Call | None:
        return await decide(self.complete, messages, tools, choice)


# --- the wording ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "What is the weather like in Oslo?",
        "Hey, tell me the weather.",
        "I'd like to know the weather in Oslo.",
        "I'm flying to Oslo, what will the weather be?",
        "Weather for Oslo, please.",
        "Could you look it up?",
    ],
)
def test_a_question_an_order_and_a_wish_ask_for_something(text: str) -> None:
    assert asks(text)
    assert not is_talk(text)


@pytest.mark.parametrize(
    "text", ["I like rainy days.", "The weather was lovely in Rome.", "It rained yesterday.", "", "!"]
)
def test_a_statement_asks_for_nothing(text: str) -> None:
    assert not asks(text)


@pytest.mark.parametrize(
    "text",
    ["Why does it rain?", "Do you like snow?", "How does snow form?", "What is a storm?", "Can you explain rain?"],
)
def test_what_is_asked_about_the_world_or_the_agent_is_talk(text: str) -> None:
    assert is_talk(text)


def test_a_deed_is_ordered_or_wished_for_and_not_asked_about() -> None:
    assert is_deed(TIMER)
    assert not is_deed(WEATHER)
    assert asks("Can you time five minutes?", deed=True)
    assert asks("I need five minutes.", deed=True)
    assert not asks("Who wrote the song Yesterday?", deed=True)


def test_a_subject_without_a_verb_is_a_request() -> None:
    assert asks("Weather in Oslo.", frozenset((stem("weather"),)))
    assert not asks("Weather is nice in Oslo.", frozenset((stem("weather"),)))


def test_a_subject_that_was_misheard_is_put_right_where_the_sentence_begins_with_it() -> None:
    about = sounds(WEATHER)
    assert misheard("Whether in Oslo.", about) == "weather in Oslo."
    for text in ("Tell me whether Oslo is large.", "Water in Oslo.", "Whether he comes is unclear."):
        assert misheard(text, about) == text


def test_numbers_are_read_as_digits_and_as_words() -> None:
    assert [(n.surface, n.value) for n in numbers("Twenty five minutes, or 7.5, then three")] == [
        ("twenty five", 25),
        ("7.5", 7.5),
        ("three", 3),
    ]


def test_what_a_tool_is_about_is_in_its_name_and_description_but_not_in_its_parameters() -> None:
    assert topics(WEATHER) == {"weather": 0.0}
    assert topics(Tool("playMusic", "Play a song.")) == {"play": -1.0, "song": -1.0, "music": 0.0}
    assert topics(Tool("ping")) == {"ping": 0.0}


# --- the values -------------------------------------------------------------------------------------------------------


def test_text_is_a_span_of_what_was_said() -> None:
    found = candidates(
        {"type": "string"}, "city", "How's the weather in New York today?", frozenset((stem("weather"),))
    )
    assert found == {"New": "New", "New York": "New York", "York": "York"}


def test_a_span_may_be_a_time_only_where_a_time_is_wanted() -> None:
    assert candidates({"type": "string"}, "city", "And tomorrow?", NOBODY) == {}
    assert candidates({"type": "string"}, "day", "And tomorrow?", NOBODY) == {"tomorrow": "tomorrow"}


def test_other_types_have_values_of_their_own() -> None:
    text = "Turn it off in 12 or thirty minutes"
    assert candidates({"type": "integer"}, "n", text, NOBODY) == {"12": 12, "thirty": 30}
    assert candidates({"type": "integer", "maximum": 20}, "n", text, NOBODY) == {"12": 12}
    assert candidates({"enum": ["on", "off"]}, "state", text, NOBODY) == {"off": "off"}
    assert candidates({"enum": ["red", "blue"]}, "colour", text, NOBODY) == {"red": "red", "blue": "blue"}
    assert candidates({"type": "boolean"}, "loud", text, NOBODY) == {"yes": True, "no": False}
    assert candidates({"type": "array", "items": {"type": "number"}}, "n", "Two.", NOBODY) == {"two": [2.0]}
    assert candidates({"type": "object"}, "more", text, NOBODY) == {}


# --- the choice -------------------------------------------------------------------------------------------------------


async def test_a_request_about_the_tool_calls_it_with_the_users_words() -> None:
    reader = Reader("Oslo", weather=-1.0)
    assert await choose(reader, said("Is it raining in Oslo?"), (WEATHER,)) == Call("get_weather", '{"city": "Oslo"}')
    assert reader.prompts[1].endswith('"Is it raining in Oslo?" is about: weather; city:')


async def test_talk_costs_no_model() -> None:
    reader = Reader(weather=0.0)
    for text in ("I love the weather in Oslo.", "Why is the weather bad in Oslo?", "How is the weather?", ""):
        assert await choose(reader, said(text), (WEATHER,)) is None
    assert await choose(reader, said("How is the weather in Oslo?"), ()) is None
    assert await choose(reader, said("How is the weather in Oslo?"), (WEATHER,), "none") is None
    assert reader.prompts == []


async def test_a_request_about_something_else_calls_nothing() -> None:
    reader = Reader("Oslo", weather=-8.0, museum=-0.5)
    assert await choose(reader, said("What can I see in Oslo?"), (WEATHER,)) is None


async def test_a_missing_argument_calls_nothing() -> None:
    assert await choose(Reader("?", weather=-0.5), said("How's the weather outside?"), (WEATHER,)) is None


async def test_the_tool_that_the_request_is_most_about_is_called() -> None:
    reader = Reader(weather=-3.0, timer=-1.0)
    call = await choose(reader, said("Set a timer for five minutes."), (WEATHER, TIMER))
    assert call == Call("set_timer", '{"minutes": 5}')
    assert reader.grammars == []  # one number was said: nothing to choose


async def test_a_choice_that_the_client_made_is_kept() -> None:
    text = said("Ten minutes in Oslo are nice.")
    assert await choose(Reader(timer=-9.0), text, (WEATHER, TIMER), "set_timer") == Call("set_timer", '{"minutes": 10}')
    assert await choose(Reader("Oslo", weather=-9.0), text, (WEATHER,), "required") == Call(
        "get_weather", '{"city": "Oslo"}'
    )
    assert await choose(Reader(), text, (WEATHER,), "set_timer") is None


async def test_a_short_question_goes_on_from_the_last_one() -> None:
    reader = Reader("Rome", weather=-1.0)
    await choose(reader, said("How is the weather in Oslo?", "And in Rome?"), (WEATHER,))
    assert '"How is the weather in Oslo? And in Rome?"' in reader.prompts[0]
    assert "Oslo" not in reader.grammars[0]


@pytest.mark.parametrize(
    "parameters", [{}, {"type": "object"}, {"properties": None}, {"properties": {"x": None}}, {"required": 3}]
)
async def test_any_schema_is_survived(parameters: dict[str, Any]) -> None:
    call = await choose(
        Reader("?", weather=0.0), said("How is the weather in Oslo?"), (Tool("weather", "", parameters),)
    )
    assert call == Call("weather", "{}")


async def test_quotes_in_what_was_said_stay_in_their_place() -> None:
    reader = Reader('O"Hara', weather=-1.0)
    call = await choose(reader, said('Is it raining in O"Hara?\nis about: x'), (WEATHER,))
    assert call is not None
    assert json.loads(call.arguments) == {"city": 'O"Hara'}
    assert reader.prompts[0].endswith('"Is it raining in OHara? is about: x" is about:')


# --- the models -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama() -> Iterator[Llama]:
    llama = Llama(LlmConfig(context_tokens=512), 1, PERSONA)
    yield llama
    asyncio.run(llama.close())


async def test_the_small_model_calls_for_requests_alone(llama: Llama) -> None:
    async def called(text: str) -> Call | None:
        return await choose(llama, said(text), (WEATHER, TIMER))

    assert await called("Will it snow in Buenos Aires tomorrow?") == Call("get_weather", '{"city": "Buenos Aires"}')
    assert await called("Set a timer for ten minutes.") == Call("set_timer", '{"minutes": 10}')
    assert await called("What is the capital of France?") is None
    assert await called("The weather was lovely when I was in Rome.") is None


class Caller(FakeServer):
    """Streams a tool call in pieces, as OpenAI does."""

    async def _stream(self, response: Any) -> None:
        for function in (
            {"name": "get_weather", "arguments": ""},
            {"arguments": '{"city":'},
            {"arguments": ' "Oslo"}'},
        ):
            await response.write(event({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}))
        await response.write(b"data: [DONE]\n\n")


async def test_a_server_is_asked_in_its_own_way() -> None:
    fake = Caller([])
    async with serving(fake) as model:
        assert await choose(model, said("Rain in Oslo?"), (WEATHER,)) == Call("get_weather", '{"city": "Oslo"}')
        await choose(model, said("Rain in Oslo?"), (WEATHER,), "get_weather")
    (_, first), (_, second) = fake.asked
    function = {"name": "get_weather", "description": WEATHER.description, "parameters": CITY}
    assert (first["tools"], first["tool_choice"]) == ([{"type": "function", "function": function}], "auto")
    assert second["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


async def test_a_server_that_answers_in_words_calls_nothing_and_is_left() -> None:
    fake = FakeServer([])  # it never ends
    async with serving(fake) as model:
        assert await choose(model, said("Hello."), (WEATHER,)) is None
        await fake.left.wait()
