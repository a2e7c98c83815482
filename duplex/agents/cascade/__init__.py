"""The cascade: voice activity detection, speech-to-text, a language model, text-to-speech, in the frame contract.

The baseline that a native model has to beat, built as well as the stages allow. For pictures its LLM must be at a URL.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duplex.agents.cascade.config import CascadeConfig
from duplex.config import from_dict

if TYPE_CHECKING:
    from duplex.agents.cascade.agent import CascadeAgent

__all__ = ["CascadeConfig", "open_cascade"]


def open_cascade(settings: Mapping[str, Any]) -> CascadeAgent:
    """Factory for `open_agent`: loads and warms every stage, once for all sessions.

    Blocks for seconds. Raises ConfigError for an unknown setting, MissingFile for weights that are not there.
    """
    from duplex.agents.cascade.agent import CascadeAgent, Stages  # here: others take single stages of this room
    from duplex.agents.cascade.llm import open_llm
    from duplex.agents.cascade.stt import Whisper
    from duplex.agents.cascade.tts import Hibari
    from duplex.agents.cascade.vad import Silero

    config = from_dict(CascadeConfig, settings, "cascade")
    stages = Stages(
        ear=Silero().listener,
        stt=Whisper(config.stt),
        llm=open_llm(config.llm, config.seats, config.persona),
        tts=Hibari(config.voice),
    )
    return CascadeAgent(config, stages, now=time.monotonic)
