"""Calls a Pipecat bot of examples/, where Pipecat is installed: pipecat_phone.py BOT URL AGENT SAID.wav BOTH.wav"""

import asyncio
import socket
import sys
import wave
from pathlib import Path

import numpy as np
import websockets
from pipecat.frames.frames import InterruptionFrame, OutputAudioRawFrame
from pipecat.serializers.protobuf import ProtobufFrameSerializer

RATE_HZ, CHUNK = 24_000, 480
PATIENCE_S = 120.0  # for the bot to begin to listen


async def main(bot: str, url: str, agent: str, said: str, both: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(__file__).parents[2] / "examples" / bot
    server = url.replace("http", "ws", 1)
    process = await asyncio.create_subprocess_exec(sys.executable, "-u", str(program), server, agent, str(port))
    try:
        async with await reached(port) as line:
            await call(line, said, both)
    finally:
        process.kill()
        await process.wait()


async def reached(port: int) -> websockets.ClientConnection:
    for _ in range(int(PATIENCE_S * 2)):
        try:
            return await websockets.connect(f"ws://127.0.0.1:{port}", max_size=None)
        except OSError:
            await asyncio.sleep(0.5)
    raise SystemExit("the bot does not listen")


async def call(line: websockets.ClientConnection, said: str, both: str) -> None:
    with wave.open(said) as file:
        user = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    serializer, played, queued = ProtobufFrameSerializer(), [], bytearray()

    async def listen() -> None:
        async for message in line:
            frame = await serializer.deserialize(message)
            if isinstance(frame, InterruptionFrame):
                queued.clear()
            queued.extend(getattr(frame, "audio", b""))

    listening = asyncio.create_task(listen())
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for at in range(len(user) // CHUNK):
        await asyncio.sleep(max(0.0, began_s + (at + 1) * CHUNK / RATE_HZ - loop.time()))
        chunk = user[at * CHUNK : (at + 1) * CHUNK]
        sound = OutputAudioRawFrame(audio=chunk.tobytes(), sample_rate=RATE_HZ, num_channels=1)
        await line.send(await serializer.serialize(sound))
        heard = np.frombuffer(bytes(queued[: 2 * CHUNK]).ljust(2 * CHUNK, b"\0"), "<i2")
        del queued[: 2 * CHUNK]
        played.append(np.stack([chunk, heard], axis=1))
    listening.cancel()
    with wave.open(both, "wb") as file:
        file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.concatenate(played).tobytes())


asyncio.run(main(*sys.argv[1:]))
