"""session.update: what changes, what stays, what is refused, and what an agent turns down."""

import pytest

from duplex.notes import Instruct, Remember, Tool, TurnTaking, UseTools, UseVoice
from tests.protocols.realtime_talk import Talk, kinds


def update(talk: Talk, **session):
    """(the session as it is shown then, what the agent is told)."""
    [updated], notes = talk.ask("session.update", session=session)
    assert updated["type"] == "session.updated", updated
    return updated["session"], notes


def listening(**rules):
    return {"audio": {"input": {"turn_detection": rules}}}


def test_a_partial_update_leaves_the_rest():
    talk = Talk()
    shown, notes = update(talk, type="realtime", instructions="Be kind.")
    assert shown["instructions"] == "Be kind." and notes == [Instruct("Be kind.")]
    shown, notes = update(talk, audio={"output": {"voice": "ben"}})
    assert notes == [UseVoice("ben")]
    assert (shown["instructions"], shown["audio"]["output"]["voice"]) == ("Be kind.", "ben")
    assert shown["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert update(talk, instructions="Be kind.", audio={"output": {"voice": {"id": "ben"}}})[1] == [], "nothing new"
    assert update(talk) == (shown, [])


def test_null_is_not_the_same_as_nothing():
    talk = Talk()
    transcription = {"model": "whisper-1", "language": "en"}
    shown, _ = update(talk, audio={"input": {"transcription": transcription}})
    assert shown["audio"]["input"]["transcription"] == transcription
    shown, notes = update(talk, audio={"input": {"turn_detection": None}})
    assert shown["audio"]["input"] | {"format": None} == {
        "format": None,
        "transcription": transcription,
        "noise_reduction": None,
        "turn_detection": None,
    }
    assert notes == [TurnTaking(detect=False)]
    shown, notes = update(talk, audio={"input": {"transcription": None}})
    assert shown["audio"]["input"]["transcription"] is None and notes == []


@pytest.mark.parametrize(
    ("rules", "notes"),
    [
        ({"type": "server_vad"}, []),
        ({"type": "server_vad", "threshold": 0.8}, [TurnTaking(threshold=0.8, stop_ms=500)]),
        ({"type": "server_vad", "silence_duration_ms": 200}, [TurnTaking(threshold=0.5, stop_ms=200)]),
        ({"create_response": False, "type": "server_vad"}, [TurnTaking(respond=False, threshold=0.5, stop_ms=500)]),
        ({"type": "semantic_vad"}, [TurnTaking(wait_ms=4_000)]),
        ({"type": "semantic_vad", "eagerness": "low"}, [TurnTaking(wait_ms=8_000)]),
        ({"type": "semantic_vad", "eagerness": "medium"}, [TurnTaking(wait_ms=4_000)]),
        (
            {"type": "semantic_vad", "eagerness": "high", "interrupt_response": False},
            [TurnTaking(interrupt=False, wait_ms=2_000)],
        ),
    ],
)
def test_turn_detection(rules, notes):
    shown, told = update(Talk(), **listening(**rules))
    assert told == notes
    assert rules.items() <= shown["audio"]["input"]["turn_detection"].items()


def test_rules_of_the_same_kind_add_up():
    talk = Talk()
    update(talk, **listening(type="server_vad", threshold=0.8))
    assert update(talk, **listening(type="server_vad", silence_duration_ms=200))[1] == [
        TurnTaking(threshold=0.8, stop_ms=200)
    ]


def test_tools():
    talk = Talk()
    tool = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}}
    shown, notes = update(talk, tools=[tool, {"type": "mcp", "server_label": "x"}])
    assert notes == [UseTools((Tool("weather", "d", {"type": "object"}),), "auto")]
    assert shown["tools"] == [tool] and "function" in shown["unsupported"][0]
    choice = {"type": "function", "name": "weather"}
    shown, [note] = update(talk, tool_choice=choice)
    assert shown["tool_choice"] == choice and note.choice == "weather" and len(note.tools) == 1
    assert update(talk, tools=[])[1] == [UseTools((), "weather")]


def test_what_there_is_not_is_said():
    session = {
        "audio": {"input": {"noise_reduction": {"type": "near_field"}}, "output": {"speed": 1.5}},
        "tracing": "auto",
        "unheard_of": {"x": 1},
    }
    shown, notes = update(Talk(), **session)
    assert [reason.split(":")[0] for reason in shown["unsupported"]] == ["tracing", "noise_reduction", "speed"]
    assert notes == [] and shown["audio"]["output"]["speed"] == 1.0
    shown, notes = update(Talk(), **listening(type="server_vad", idle_timeout_ms=6_000))
    assert "idle_timeout_ms" in shown["unsupported"][0] and notes == []
    assert shown["audio"]["input"]["turn_detection"]["idle_timeout_ms"] is None


def test_the_names_of_the_beta():
    talk = Talk()
    shown, notes = update(
        talk,
        modalities=["text", "audio"],
        instructions="x",
        voice="ben",
        input_audio_format="g711_ulaw",
        output_audio_format="pcm16",
        input_audio_transcription={"model": "whisper-1"},
        turn_detection={"type": "server_vad", "silence_duration_ms": 300},
        temperature=0.8,
        max_response_output_tokens=1_000,
    )
    assert notes == [Instruct("x"), UseVoice("ben"), TurnTaking(threshold=0.5, stop_ms=300)]
    assert (shown["output_modalities"], shown["max_output_tokens"]) == (["audio"], 1_000)
    assert shown["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert shown["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert shown["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert update(talk, turn_detection=None)[1] == [TurnTaking(detect=False)]


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"instructions": 7}, "session.instructions"),
        ({"audio": []}, "session.audio"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}}, "session.audio.input.format"),
        ({"audio": {"input": {"format": "opus"}}}, "session.audio.input.format"),
        ({"output_modalities": ["video"]}, "session.output_modalities"),
        (listening(type="server_vad", threshold=2), "session.audio.input.turn_detection"),
        (listening(type="server_vad", silence_duration_ms=10**9), "session.audio.input.turn_detection"),
        (listening(type="telepathy"), "session.audio.input.turn_detection"),
        (listening(type="semantic_vad", eagerness="very"), "session.audio.input.turn_detection"),
        ({"tools": "all"}, "session.tools"),
        (None, "session"),
        ([], "session"),
    ],
)
def test_a_wrong_update_changes_nothing(session, param):
    talk = Talk()
    before, _ = update(talk)
    wrong = {"instructions": "Be kind.", **session} if isinstance(session, dict) else session
    [error], notes = talk.ask("session.update", session=wrong, event_id="mine")
    assert error["type"] == "error" and notes == []
    assert error["error"]["event_id"] == "mine" and error["error"]["param"].startswith(param)
    assert "http" not in error["error"]["message"]
    assert update(talk)[0]["audio"] == before["audio"]


def test_what_the_agent_turns_down_is_shown_in_a_second_update():
    talk = Talk()
    _, [instruct, voice] = update(talk, instructions="a pirate", audio={"output": {"voice": "marin"}})
    [first] = talk.declined(instruct, "native takes no persona")
    assert (first["type"], first["session"]["instructions"]) == ("session.updated", "")
    assert first["session"]["unsupported"] == ["instructions: native takes no persona"]
    [second] = talk.declined(voice, "no voice 'marin'")
    assert second["session"]["audio"]["output"]["voice"] is None, "the agent's own, whatever it is"
    assert update(talk)[0]["instructions"] == ""


def test_rules_that_are_turned_down():
    talk = Talk()
    _, [note] = update(talk, **listening(type="semantic_vad"))
    [second] = talk.declined(note, "echo takes no turns")
    assert second["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert second["session"]["unsupported"] == ["turn_detection: echo takes no turns"]


def test_what_is_turned_down_late_does_not_undo_what_came_after():
    talk = Talk()
    _, [pirate] = update(talk, instructions="a pirate")
    _, [queen] = update(talk, instructions="a queen")
    assert talk.declined(pirate, "no")[0]["session"]["instructions"] == "a queen"
    assert talk.declined(queen, "no")[0]["session"]["instructions"] == ""


def test_other_notes_that_are_turned_down_are_errors():
    talk = Talk()
    item = {"type": "message", "role": "user", "content": "hello"}
    _, [note] = talk.ask("conversation.item.create", item=item, event_id="mine")
    assert note == Remember("user", "hello")
    [error] = talk.declined(note, "it cannot read")
    assert (error["error"]["code"], error["error"]["message"], error["error"]["event_id"]) == (
        "unsupported",
        "it cannot read",
        "mine",
    )
    talk.say()
    assert kinds(talk.ask("session.update", session={})[0]) == ["session.updated"]
