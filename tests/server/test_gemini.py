"""Google's own SDK, unchanged, over TLS against a real server: voice turns, interruptions, functions, refusals."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import sphn
from aiohttp import web
from google import genai
from google.genai import errors, types

from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Event, Frame
from duplex.notes import Hush, Image, Note, Remember, Respond, ToolResult, TypedText
from duplex.server import ServerConfig, make_app
from duplex.server.tls import context, self_signed
from duplex.session import Capabilities, SessionConfig, Ticks, cannot, refuse
from tests.server.site import ending

ROOT = Path(__file__).parent.parent.parent
TONE = np.full(FRAME_SAMPLES, 0.25, np.float32)
ANSWER_TICKS = 6
STOP_TICKS = 3  # of silence, that end the user's turn
MINUTE_S = 60
NOTES = (TypedText, Remember, Respond, Hush, ToolResult)
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


class Parrot:
    """Answers every loud stretch, text or Respond with six ticks of one value; calls a tool first where it has one."""

    def __init__(self, **can) -> None:
        self.capabilities = Capabilities("parrot", model="p-1", notes=NOTES, codebooks=8, **can)
        self.asked: list[SessionConfig] = []
        self.notes: list[Note] = []

    async def open(self, config: SessionConfig) -> ParrotSession:
        refuse(config, self.capabilities)
        self.asked.append(config)
        return ParrotSession(self, config)

    async def close(self) -> None: ...


class ParrotSession:
    def __init__(self, agent: Parrot, config: SessionConfig) -> None:
        self._agent, self._config, self._ticks = agent, config, Ticks("pcm")
        self._events: deque[Event] = deque()
        self._quiet = STOP_TICKS  # ticks since the user was heard
        self._left = 0  # ticks of the answer
        self._results = 0

    async def step(self, heard: Frame) -> Frame:
        self._ticks.check(heard)
        self._listen(heard, bool(np.abs(heard.pcm).max() > 0.1))
        events = tuple(self._events)
        self._events.clear()
        if not self._left:
            return Frame(heard.t, np.zeros(FRAME_SAMPLES, np.float32), events=events)
        self._left -= 1
        done = () if self._left else (Answered(),)
        return Frame(heard.t, TONE, text=" la", events=(*events, *done))

    def _listen(self, heard: Frame, loud: bool) -> None:
        sample = heard.t * FRAME_SAMPLES
        if loud and self._quiet >= STOP_TICKS:
            self._events.append(SpeechStarted(sample))
            if self._left:
                self._left = 0
                self._events.extend((Interrupted("la"), Answered("interrupted")))
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet == STOP_TICKS and heard.t >= STOP_TICKS:
            self._events.extend((SpeechStopped(sample), Answering(), Transcript("Polly?")))
            if self._config.tools:
                call = ToolCall("call-1", self._config.tools[0].name, '{"lampId": 3}')
                self._events.extend((call, Answered()))
            else:
                self._left = ANSWER_TICKS

    async def tell(self, note: Note) -> None:
        if not isinstance(note, NOTES):
            raise cannot(note, self._agent.capabilities)
        self._agent.notes.append(note)
        if isinstance(note, Hush) and self._left:
            self._left = 0
            self._events.append(Answered("cancelled"))
        if isinstance(note, (TypedText, Respond)):
            self._events.append(Answering())
            self._left = ANSWER_TICKS

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Place:
    """A server behind TLS."""

    port: int
    cert: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self, key: str = "any", **options) -> genai.Client:
        """A stock client that is told where, and whom to trust."""
        trust = {"ssl": ssl.create_default_context(cafile=str(self.cert))}
        return genai.Client(api_key=key, http_options={"base_url": self.url, "async_client_args": trust, **options})


@asynccontextmanager
async def place(agent: Parrot, folder: Path, **config) -> AsyncIterator[Place]:
    runner = web.AppRunner(
        make_app({"parrot": agent}, ServerConfig(**{"paced": False, **config})), access_log=None, shutdown_timeout=1
    )
    await runner.setup()
    cert, key = self_signed(folder)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context(cert, key)).start()
    try:
        yield Place(runner.addresses[0][1], cert)
    finally:
        await runner.cleanup()


async def speak(session, ticks: int = 5, rate_hz: int = 16_000) -> None:
    """A loud stretch and enough silence to end the turn, in pieces of 20 ms."""
    step = rate_hz // 50 * 2
    loud, quiet = b"\x00\x40" * (rate_hz * 8 * ticks // 100), bytes(rate_hz * 8 * (STOP_TICKS + 1) // 100 * 2)
    stream = loud + quiet
    for at in range(0, len(stream), step):
        blob = types.Blob(data=stream[at : at + step], mime_type=f"audio/pcm;rate={rate_hz}")
        await session.send_realtime_input(audio=blob)


async def turn(session) -> list[types.LiveServerMessage]:
    """What the SDK itself takes for one turn."""
    async with asyncio.timeout(MINUTE_S):
        return [message async for message in session.receive()]


def kinds(messages: list[types.LiveServerMessage]) -> list[str]:
    """What was set in each message, without repetitions."""
    found: list[str] = []
    for message in messages:
        content = message.server_content
        names = sorted(content.model_fields_set if content else message.model_fields_set)
        found += [name for name in names if found[-1:] != [name] and name != "usage_metadata"]
    return found


def pcm(messages: list[types.LiveServerMessage]) -> np.ndarray:
    return np.frombuffer(b"".join(message.data or b"" for message in messages), "<i2")


VOICE = {
    "response_modalities": ["AUDIO"],
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Puck"}}},
}


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
async def test_a_voice_turn(rate_hz, tmp_path):
    agent = Parrot()
    async with place(agent, tmp_path) as here, here.client().aio.live.connect(model="p-1", config=VOICE) as session:
        assert session.setup_complete is not None
        await speak(session, rate_hz=rate_hz)
        messages = await turn(session)
        assert kinds(messages)[0] == "input_transcription"
        assert kinds(messages)[-3:] == ["model_turn", "generation_complete", "turn_complete"]
        texts = [m.server_content.output_transcription for m in messages if m.server_content.output_transcription]
        assert "".join(text.text for text in texts) == " la" * ANSWER_TICKS
        assert pcm(messages).tolist() == [8192] * (ANSWER_TICKS * FRAME_SAMPLES)
        assert messages[-1].usage_metadata.response_token_count == 8 * ANSWER_TICKS
        await speak(session, rate_hz=rate_hz)
        assert kinds(await turn(session))[-1] == "turn_complete"
    assert agent.asked[0].transcribe and agent.asked[0].turns is not None


async def test_an_interruption_paced(tmp_path):
    async with (
        place(Parrot(), tmp_path, paced=True, ahead_ms=0) as here,
        here.client().aio.live.connect(model="parrot", config={"response_modalities": ["AUDIO"]}) as session,
    ):
        await speak(session)
        messages = []
        async with asyncio.timeout(MINUTE_S):
            async for message in session.receive():
                if not messages:
                    await speak(session)
                messages.append(message)
        assert kinds(messages) == ["model_turn", "interrupted", "turn_complete"]
        assert 0 < len(pcm(messages)) < ANSWER_TICKS * FRAME_SAMPLES
        assert kinds(await turn(session)) == ["model_turn", "generation_complete", "turn_complete"]


async def test_a_function_call(tmp_path):
    agent = Parrot(tools=True, persona=True)
    parameters = types.Schema(type=types.Type.OBJECT, properties={"lampId": types.Schema(type=types.Type.INTEGER)})
    lamp = types.FunctionDeclaration(name="set_lamp", description="Sets it.", parameters=parameters)
    config = types.LiveConnectConfig(
        response_modalities=[types.Modality.AUDIO],
        system_instruction="Be a parrot.",
        tools=[types.Tool(function_declarations=[lamp])],
    )
    async with place(agent, tmp_path) as here, here.client().aio.live.connect(model="parrot", config=config) as session:
        await speak(session)
        messages = []
        async with asyncio.timeout(MINUTE_S):
            async for message in session.receive():
                messages.append(message)
                for call in (message.tool_call and message.tool_call.function_calls) or []:
                    assert (call.id, call.name, call.args) == ("call-1", "set_lamp", {"lampId": 3})
                    done = types.FunctionResponse(id=call.id, name=call.name, response={"output": "lampId"})
                    await session.send_tool_response(function_responses=done)
        assert kinds(messages) == ["tool_call", "model_turn", "generation_complete", "turn_complete"]
    assert agent.notes == [ToolResult("call-1", '{"output": "lampId"}'), Respond()]
    [config] = agent.asked
    assert config.persona == "Be a parrot." and config.tools[0].parameters["properties"]["lampId"]["type"] == "integer"


async def test_text_in_and_out_trusted_by_the_environment_alone(tmp_path, monkeypatch):
    agent = Parrot()
    async with place(agent, tmp_path) as here:
        monkeypatch.setenv("SSL_CERT_FILE", str(here.cert))
        client = genai.Client(api_key="any", http_options={"base_url": here.url})
        async with client.aio.live.connect(model="parrot", config={"response_modalities": ["TEXT"]}) as session:
            turns = [types.Content(role="user", parts=[types.Part(text="Polly?")])]
            await session.send_client_content(turns=turns, turn_complete=True)
            assert "".join(message.text or "" for message in await turn(session)) == " la" * ANSWER_TICKS
            await session.send_realtime_input(text="Again?")
            assert kinds(await turn(session)) == ["model_turn", "generation_complete", "turn_complete"]
            await session.send_realtime_input(video=types.Blob(data=b"\xff\xd8", mime_type="image/jpeg"))
            await session.send_realtime_input(text="And now?")
            [message, *_] = await turn(session)
            assert message.server_content.model_turn.parts[0].thought and message.text == " la"
    assert agent.notes == [Remember("user", "Polly?"), Respond(), TypedText("Again?"), TypedText("And now?")]
    assert Image not in map(type, agent.notes)


@pytest.mark.parametrize(
    ("config", "code", "reason"),
    [
        ({"system_instruction": "Be brief."}, 1008, "parrot takes no persona"),
        ({"tools": [{"function_declarations": [{"name": "f"}]}]}, 1008, "parrot calls no tools"),
        ({"tools": [{"google_search": {}}]}, 1007, "no tool 'google_search'"),
        ({"session_resumption": {"handle": "h"}}, 1007, "sessions cannot be resumed here"),
    ],
)
async def test_what_the_agent_cannot_do_is_refused_with_the_reason(config, code, reason, tmp_path):
    async with place(Parrot(), tmp_path) as here:
        with pytest.raises(errors.APIError, match=reason) as refused:
            async with here.client().aio.live.connect(model="parrot", config=config):
                raise AssertionError("it was let in")
        assert refused.value.code == code


async def test_a_bad_message_ends_the_session_with_the_reason(tmp_path):
    async with (
        place(Parrot(), tmp_path) as here,
        here.client().aio.live.connect(model="parrot", config={}) as session,
    ):
        await session.send_realtime_input(audio=types.Blob(data=b"", mime_type="audio/opus"))
        with pytest.raises(errors.APIError, match="audio must be audio/pcm") as told:
            await turn(session)
        assert told.value.code == 1007


async def test_the_key_of_the_server_is_googles_api_key(tmp_path):
    async with place(Parrot(), tmp_path, key="secret") as here:
        async with here.client("secret").aio.live.connect(model="parrot") as session:
            assert session.setup_complete is not None
        with pytest.warns(errors.ExperimentalWarning):
            token = here.client("auth_tokens/secret", api_version="v1alpha").aio.live.connect(model="parrot")
            async with token as session:
                assert session.setup_complete is not None
        with pytest.raises(Exception, match="401"):
            async with here.client("guess").aio.live.connect(model="parrot"):
                raise AssertionError("it was let in")


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?key=secret", {}, 101),
        ("?access_token=auth_tokens/secret", {}, 101),
        ("", {"Authorization": "Token secret"}, 101),
        ("", {"x-goog-api-key": "guess"}, 401),
        ("", {}, 401),
    ],
)
async def test_where_the_key_may_be(query, headers, status, tmp_path):
    async with place(Parrot(), tmp_path, key="secret") as here, aiohttp.ClientSession() as http:
        trust = ssl.create_default_context(cafile=str(here.cert))
        try:
            async with http.ws_connect(here.url + PATH + query, headers=headers, ssl=trust) as socket:
                await socket.send_bytes(b'{"setup":{}}')
                assert (await socket.receive(10)).data == '{"setupComplete":{}}'
                assert status == 101
                await socket.send_str("?")
                _, code, reason = await ending(socket)
                assert code == 1007 and reason.startswith("a message must be JSON")
        except aiohttp.WSServerHandshakeError as refused:
            assert refused.status == status


@pytest.mark.parametrize("method", ["BidiGenerateMusic", "GenerateContent"])
async def test_other_methods_are_not_here(method, tmp_path):
    async with place(Parrot(), tmp_path) as here, aiohttp.ClientSession() as http:
        trust = ssl.create_default_context(cafile=str(here.cert))
        async with http.get(here.url + PATH.replace("BidiGenerateContent", method), ssl=trust) as response:
            assert response.status == 404


async def test_the_example(tmp_path):
    user, reply = tmp_path / "user.wav", tmp_path / "reply.wav"
    sphn.write_wav(str(user), np.full(16_000 // 2, 0.5, np.float32), 16_000)
    async with place(Parrot(), tmp_path) as here:
        command = (sys.executable, str(ROOT / "examples" / "gemini_live.py"), here.url, str(user), str(reply))
        environment = {"SSL_CERT_FILE": str(here.cert), "PATH": "/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=-1, stderr=-1)
        out, error = await asyncio.wait_for(process.communicate(), MINUTE_S)
    assert (process.returncode, error.decode()) == (0, "")
    assert " la" * ANSWER_TICKS in out.decode()
    heard, rate_hz = sphn.read(str(reply))
    assert (
        rate_hz == 24_000 and heard.shape == (1, ANSWER_TICKS * FRAME_SAMPLES) and np.allclose(heard, 0.25, atol=1e-3)
    )
