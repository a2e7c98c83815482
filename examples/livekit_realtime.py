"""A LiveKit agent whose model is a duplex server, over Realtime. The caller is a WAV file; no LiveKit server is needed.

pip install -r examples/livekit.txt
python examples/livekit_realtime.py http://127.0.0.1:8998 cascade question.wav both.wav
"""

import asyncio
import sys

from livekit.agents import Agent, AgentSession, function_tool
from livekit.plugins.openai.realtime import RealtimeModel
from livekit_sound import call


@function_tool
async def get_weather(city: str) -> str:
    """The weather in a city now."""
    sys.stdout.write(f"called {city}\n")
    return f"In {city} it is 18 degrees and dry."


async def main(url: str, name: str, caller: str, both: str) -> None:
    model = RealtimeModel(base_url=f"{url}/v1", api_key="local", model=name)
    session = AgentSession(llm=model)
    session.on("user_input_transcribed", lambda said: sys.stdout.write(f"user: {said.transcript}\n"))
    session.on("conversation_item_added", lambda added: sys.stdout.write(f"{added.item}\n"))
    agent = Agent(instructions="You are kind and brief.", tools=[get_weather])
    await call(session, agent, caller, both)
    await model.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
