"""Talk by microphone through the openai SDK (needs sounddevice): python examples/openai_microphone.py [URL MODEL]"""

import asyncio
import base64
import sys

import sounddevice
from openai import AsyncOpenAI

URL, MODEL = sys.argv[1:] or ("http://127.0.0.1:8998/v1", "native")
FORM = {"samplerate": 24_000, "blocksize": 960, "channels": 1, "dtype": "int16"}
ASKED = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}


async def main() -> None:
    loop, microphone, speaker = asyncio.get_running_loop(), asyncio.Queue(), bytearray()

    def record(data, *_) -> None:
        loop.call_soon_threadsafe(microphone.put_nowait, bytes(data))

    def play(data, *_) -> None:
        sound = bytes(speaker[: len(data)])
        del speaker[: len(data)]
        data[:] = sound.ljust(len(data), b"\0")

    async def speak() -> None:
        while True:
            await connection.input_audio_buffer.append(audio=base64.b64encode(await microphone.get()).decode())

    async with AsyncOpenAI(base_url=URL, api_key="local").realtime.connect(model=MODEL) as connection:
        await connection.session.update(session=ASKED)
        with sounddevice.RawInputStream(callback=record, **FORM), sounddevice.RawOutputStream(callback=play, **FORM):
            speaking = asyncio.create_task(speak())
            async for event in connection:
                if event.type == "response.output_audio.delta":
                    speaker.extend(base64.b64decode(event.delta))
                elif event.type == "input_audio_buffer.speech_started":
                    speaker.clear()
                elif event.type.endswith(("transcription.completed", "audio_transcript.done")):
                    sys.stdout.write(f"{event.type.split('.')[0]}: {event.transcript}\n")
            speaking.cancel()


asyncio.run(main())
