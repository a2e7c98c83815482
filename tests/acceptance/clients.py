"""The real clients, each holding the same spoken conversation: what its user hears, and which tools were called.

Every one takes the server's address and the agent's name, and speaks for a Caller.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
import wave
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from google import genai
from google.genai import types
from openai import AsyncOpenAI

from duplex.clients.phone import ring
from duplex.compat import TaskGroup
from duplex.frame import SAMPLE_RATE
from duplex.recording import Recording
from tests.acceptance.caller import Caller

ROOT = Path(__file__).parents[2]
WEATHER = "get_weather"
ABOUT = "The weather in a city now."
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
REPORT = {"sky": "sunny", "degrees": 18}

Client = Callable[[str, str, Caller, bool], Awaitable[None]]  # http://host:port, agent, caller, whether it has tools


async def openai_realtime(url: str, agent: str, caller: Caller, tools: bool) -> None:
    """The openai SDK, Realtime."""

    async def listen() -> None:
        async for event in connection:
            if event.type == "response.output_audio.delta":
                caller.play(base64.b64decode(event.delta))
            elif event.type == "input_audio_buffer.speech_started":
                caller.stop()
            elif event.type == "response.output_audio_transcript.delta":
                caller.words.append(event.delta)
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                caller.called.append(event.item.arguments)
                result = {"type": "function_call_output", "call_id": event.item.call_id, "output": json.dumps(REPORT)}
                await connection.conversation.item.create(item=result)
                await connection.response.create()

    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x").realtime.connect(model=agent) as connection:
        declared = [{"type": "function", "name": WEATHER, "description": ABOUT, "parameters": CITY}] if tools else []
        await connection.session.update(session={"type": "realtime", "tools": declared})
        append = connection.input_audio_buffer.append
        await _both(listen(), caller.speak(lambda s16: append(audio=base64.b64encode(s16).decode())))


async def openai_live(url: str, agent: str, caller: Caller, tools: bool) -> None:
    """The openai SDK, GPT-Live."""
    declared = [{"type": "function", "name": WEATHER, "description": ABOUT, "parameters": CITY}] if tools else []
    asked = {"model": agent, "delegation": {"type": "responses", "responses": {"model": agent, "tools": declared}}}

    async def listen() -> None:
        async for event in connection:
            if event.type == "session.output_audio.delta":
                caller.play(base64.b64decode(event.delta))
            elif event.type == "session.output_transcript.delta":
                caller.words.append(event.delta)
            elif event.type == "response.event":
                await _delegated(event.model_dump()["event"])

    async def _delegated(event: Mapping[str, Any]) -> None:
        if event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
            caller.called.append(event["item"]["arguments"])
            result = {"type": "function_call_output", "call_id": event["item"]["call_id"], "output": json.dumps(REPORT)}
            await connection.send({"type": "response.item.create", "item": result})
            await connection.send({"type": "response.create"})

    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x").live.connect() as connection:
        await connection.send({"type": "session.start", "session": asked})
        append = "session.input_audio.append"
        await _both(
            listen(),
            caller.speak(lambda s16: connection.send({"type": append, "audio": base64.b64encode(s16).decode()})),
        )


def gemini_live(certificate: Path, tls_url: str) -> Client:
    """Google's SDK, which speaks over TLS only."""

    async def call(url: str, agent: str, caller: Caller, tools: bool) -> None:
        trust = ssl.create_default_context(cafile=str(certificate))
        client = genai.Client(api_key="x", http_options={"base_url": tls_url, "async_client_args": {"ssl": trust}})
        weather = {"name": WEATHER, "description": ABOUT, "parameters_json_schema": CITY}
        config = types.LiveConnectConfig(
            output_audio_transcription=types.AudioTranscriptionConfig(),
            tools=[{"function_declarations": [weather]}] if tools else None,
        )
        async with client.aio.live.connect(model=agent, config=config) as session:
            mime = f"audio/pcm;rate={SAMPLE_RATE}"
            await _both(
                _gemini_heard(session, caller),
                caller.speak(lambda s16: session.send_realtime_input(audio=types.Blob(data=s16, mime_type=mime))),
            )

    return call


async def _gemini_heard(session: Any, caller: Caller) -> None:
    while True:
        async for message in session.receive():  # one turn
            caller.play(message.data or b"")
            content = message.server_content
            if content and content.interrupted:
                caller.stop()
            if content and content.output_transcription:
                caller.words.append(content.output_transcription.text or "")
            for call in message.tool_call.function_calls if message.tool_call else ():
                caller.called.append(json.dumps(call.args))
                result = types.FunctionResponse(id=call.id, name=call.name, response=REPORT)
                await session.send_tool_response(function_responses=[result])


async def telephone(url: str, agent: str, caller: Caller, tools: bool) -> None:
    """A simulated Twilio; a call declares no tools."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "call"
        await ring(url.replace("http", "ws"), caller.pcm, path, agent=agent)
        caller.heard_elsewhere(Recording.open(path).agent)


def in_its_own_environment(name: str, program: str, *how: str) -> Client:
    """A client whose packages cannot live beside ours: `program` of `.venv-NAME` gets the address and two WAV files."""

    async def call(url: str, agent: str, caller: Caller, tools: bool) -> None:
        python = ROOT / f".venv-{name}" / "bin" / "python"
        await _run(caller, lambda said, both: ([python, ROOT / program, *how, url, agent, said, both], {}))

    return call


async def openai_microphone(url: str, agent: str, caller: Caller, tools: bool) -> None:
    """The example as it stands, on a sound card of WAV files; it declares no tools."""
    program = [sys.executable, ROOT / "examples" / "openai_microphone.py", f"{url}/v1", agent]
    card = str(Path(__file__).parent / "card")
    await _run(
        caller, lambda said, both: (program, {"PYTHONPATH": card, "CARD_SAID": str(said), "CARD_BOTH": str(both)})
    )


async def _run(caller: Caller, how: Callable[[Path, Path], tuple[Sequence[str | Path], Mapping[str, str]]]) -> None:
    """A program that says what `caller` says, from a WAV file, and leaves both sides in another."""
    with TemporaryDirectory() as folder:
        said, both = Path(folder) / "said.wav", Path(folder) / "both.wav"
        with wave.open(str(said), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes((caller.pcm * 32767).astype("<i2").tobytes())
        command, extra = how(said, both)
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=asyncio.subprocess.PIPE, env={**os.environ, **extra}
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, f"{command[1]} failed"
        caller.called += [line.split(" ", 1)[1] for line in out.decode().splitlines() if line.startswith("called ")]
        with wave.open(str(both)) as file:
            stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        caller.heard_elsewhere(stereo[:, 1].astype(np.float32) / 32768)


async def _both(listening: Any, speaking: Any) -> None:
    """Until the caller has said everything."""
    async with TaskGroup() as tasks:
        hearing = tasks.create_task(listening)
        await speaking
        hearing.cancel()
