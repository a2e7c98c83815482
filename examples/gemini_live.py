"""Speak a WAV file to a duplex server with Google's own SDK, and keep the answer: WAV in, WAV out.

duplex serve --tls-self-signed          # prints the SSL_CERT_FILE to export here
python examples/gemini_live.py https://127.0.0.1:8999 question.wav answer.wav
"""

import asyncio
import sys
import wave

from google import genai
from google.genai import types

CONFIG = types.LiveConnectConfig(output_audio_transcription=types.AudioTranscriptionConfig())  # by voice


async def main(url: str, question: str, answer: str) -> None:
    with wave.open(question) as file:  # 16-bit mono of any usual rate
        mime, tenth = f"audio/pcm;rate={file.getframerate()}", file.getframerate() // 10
        pieces = [file.readframes(tenth) for _ in range(0, file.getnframes(), tenth)]
    client = genai.Client(api_key="none", http_options={"base_url": url})
    async with client.aio.live.connect(model="native", config=CONFIG) as session:
        for piece in pieces:
            await session.send_realtime_input(audio=types.Blob(data=piece, mime_type=mime))
            await asyncio.sleep(0.1)
        await session.send_realtime_input(audio_stream_end=True)
        with wave.open(answer, "wb") as file:
            file.setparams((1, 2, 24_000, 0, "NONE", ""))
            async for message in session.receive():  # one turn
                file.writeframes(message.data or b"")
                content = message.server_content
                if content and content.output_transcription:
                    sys.stdout.write(content.output_transcription.text or "")
                    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
