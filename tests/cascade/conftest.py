"""A voice for the tests: the product's own."""

import hibari
import numpy as np
import pytest

from duplex.agents.cascade.tts import trimmed


@pytest.fixture(scope="session")
def user_voice() -> hibari.Hibari:
    return hibari.Hibari()


@pytest.fixture(scope="session")
def spoken_question(user_voice: hibari.Hibari) -> np.ndarray:
    """ "What is the capital of France?", float32 [n] at 24 kHz."""
    return trimmed(user_voice("What is the capital of France?", speed=0.9, seed=1))[: -160 * 24]
