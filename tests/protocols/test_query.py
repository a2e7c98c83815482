"""What a client may ask for in the address."""

import re

import pytest

from duplex.protocols.query import asked
from duplex.protocols.wire import BadMessage
from duplex.session import Sampling, SessionConfig

KYUTAI = {  # what Kyutai's web client sends
    "text_temperature": "0.7",
    "text_topk": "25",
    "audio_temperature": "0.8",
    "audio_topk": "250",
    "pad_mult": "0",
    "text_seed": "299792458",
    "audio_seed": "42",
    "repetition_penalty_context": "64",
    "repetition_penalty": "1.0",
}


def test_everything_that_kyutais_web_client_sends_is_honoured():
    wanted = Sampling(0.7, 25, 0.8, 250, 299792458, 42, 0.0, 1.0, 64)
    assert asked(KYUTAI, "pcm").config == SessionConfig(sampling=wanted)


def test_nothing_asked_means_the_checkpoints_own():
    assert asked({"agent": "echo", "key": "k", "worker_addr": "x", "text_topk": ""}, "codes").config == SessionConfig(
        medium="codes"
    )


def test_timings_are_told_on_request():
    assert asked({"timings": "true"}, "pcm").config == SessionConfig(timings=True)
    assert not asked({"timings": "false"}, "pcm").config.timings and not asked({"timings": ""}, "pcm").config.timings


def test_persona_and_voice_under_both_names():
    own = asked({"persona": "a pirate", "voice": "NATF0", "language": "en"}, "pcm").config
    nvidia = asked({"text_prompt": "a pirate", "voice_prompt": "NATF0"}, "pcm").config
    assert (own.persona, own.voice, own.language) == ("a pirate", "NATF0", "en")
    assert (nvidia.persona, nvidia.voice) == ("a pirate", "NATF0")
    assert asked({"text_prompt": "", "voice_prompt": ""}, "pcm").config == SessionConfig()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("text_topk", "many", "text_topk must be a whole number, got 'many'"),
        ("text_topk", "2.5", "text_topk must be a whole number, got '2.5'"),
        ("text_topk", "0", "text_topk must be 1 to 500, got 0"),
        ("audio_topk", "501", "audio_topk must be 1 to 500, got 501"),
        ("text_temperature", "nan", "text_temperature must be 0.0 to 5.0, got nan"),
        ("audio_temperature", "hot", "audio_temperature must be a number, got 'hot'"),
        ("audio_seed", "-1", "audio_seed must be 0 to 9223372036854775807, got -1"),
        ("pad_mult", "11", "pad_mult must be -10.0 to 10.0, got 11.0"),
        ("repetition_penalty", "0", "repetition_penalty must be 0.1 to 10.0, got 0.0"),
        ("timings", "1", "timings must be true or false, got '1'"),
        ("repetition_penalty_context", "201", "repetition_penalty_context must be 0 to 200, got 201"),
    ],
)
def test_a_bad_value_names_the_parameter_and_its_range(name, value, reason):
    with pytest.raises(BadMessage, match=f"^{re.escape(reason)}$"):
        asked({**KYUTAI, name: value}, "pcm")
