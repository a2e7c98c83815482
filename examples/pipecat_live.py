"""A Pipecat bot whose voice is our server, over GPT-Live: python examples/pipecat_live.py [BOT_PORT SERVER]"""

import asyncio
import sys

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.openai.live.llm import OpenAILiveLLMService
from pipecat.transports.websocket.server import SingleClientWebsocketServerParams, SingleClientWebsocketServerTransport
from pipecat.workers.runner import WorkerRunner

PORT, SERVER = sys.argv[1:] or ("8766", "ws://127.0.0.1:8998")
RATES = PipelineParams(audio_in_sample_rate=24_000, audio_out_sample_rate=24_000)  # no resampling on the way


async def main() -> None:
    params = SingleClientWebsocketServerParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
    )
    transport = SingleClientWebsocketServerTransport(params, host="127.0.0.1", port=int(PORT))
    settings = OpenAILiveLLMService.Settings(model="cascade", system_instruction="You are brief and kind.")
    llm = OpenAILiveLLMService(api_key="local", base_url=f"{SERVER}/v1/live/sessions", settings=settings)
    user, assistant = LLMContextAggregatorPair(LLMContext())
    pipeline = Pipeline([transport.input(), user, llm, transport.output(), assistant])
    worker = PipelineWorker(pipeline, params=RATES)

    @transport.event_handler("on_client_connected")
    async def begin(*_: object) -> None:
        await worker.queue_frames([LLMRunFrame()])  # opens the session

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


asyncio.run(main())
