"""A Pipecat bot that speaks with our server, by GPT-Live. python examples/pipecat_live.py [SERVER MODEL PORT]"""

import asyncio
import sys

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.live.llm import OpenAILiveLLMService as LLM
from pipecat.services.openai.responses.llm import OpenAIResponsesLLMService
from pipecat.transports.websocket.server import SingleClientWebsocketServerParams, SingleClientWebsocketServerTransport
from pipecat.workers.runner import WorkerRunner

SERVER, MODEL, PORT = sys.argv[1:] or ("ws://127.0.0.1:8998", "cascade", "8766")
RATES = PipelineParams(audio_in_sample_rate=24_000, audio_out_sample_rate=24_000)  # no resampling on the way


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """The weather in a city now."""
    sys.stdout.write(f"called {city}\n")
    sys.stdout.flush()
    await params.result_callback({"city": city, "sky": "sunny", "degrees": 18})


async def main() -> None:
    sound = {"audio_in_enabled": True, "audio_out_enabled": True, "serializer": ProtobufFrameSerializer()}
    transport = SingleClientWebsocketServerTransport(SingleClientWebsocketServerParams(**sound), "127.0.0.1", int(PORT))
    tools = LLM.ResponsesDelegation(settings=OpenAIResponsesLLMService.Settings(model=MODEL))
    llm = LLM(api_key="x", base_url=SERVER + "/v1/live/sessions", settings=LLM.Settings(model=MODEL), delegation=tools)
    user, assistant = LLMContextAggregatorPair(LLMContext(tools=[get_weather]))
    worker = PipelineWorker(Pipeline([transport.input(), user, llm, transport.output(), assistant]), params=RATES)

    @transport.event_handler("on_client_connected")
    async def begin(*_: object) -> None:
        await worker.queue_frames([LLMRunFrame()])

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


asyncio.run(main())
