"""Twilio Media Streams: literal messages both ways, what was heard, what is cleared and when, hostile input."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Event, Frame
from duplex.notes import Heard, Remember, TurnTaking
from duplex.protocols.g711 import decode_ulaw
from duplex.protocols.twilio import Clear, Mark, Media, TwilioCaller, TwilioWire
from duplex.protocols.wire import BadMessage, Bye, Open
from duplex.session import Capabilities, SessionConfig

# as in Twilio's documentation of the protocol, with its names of things
CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
START = """{"event":"start","sequenceNumber":"1","start":{"accountSid":"ACa","streamSid":"MZs","callSid":"CAc",
"tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
"customParameters":{"agent":"cascade","persona":"You sell boats.","voice":"heart","FirstName":"Jane"}},
"streamSid":"MZs"}"""
MEDIA = """{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"5",
"payload":"%s"},"streamSid":"MZs"}"""
MARK = '{"event":"mark","sequenceNumber":"4","streamSid":"MZs","mark":{"name":"%s"}}'
DTMF = '{"event":"dtmf","streamSid":"MZs","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"%s"}}'
STOP = '{"event":"stop","sequenceNumber":"9","streamSid":"MZs","stop":{"accountSid":"ACa","callSid":"CAc"}}'

CASCADE, NATIVE = Capabilities("cascade"), Capabilities("native", full_duplex=True)
SILENCE = np.zeros(FRAME_SAMPLES, np.float32)
TONE = (0.3 * np.sin(2 * np.pi * 500 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE)).astype(np.float32)  # whole periods
CLEAR = '{"event":"clear","streamSid":"MZs"}'


def media(chunk: int, data: bytes = b"\xff" * 160) -> str:
    return MEDIA % (chunk + 2, chunk, base64.b64encode(data).decode())


def started(can: Capabilities = CASCADE) -> TwilioWire:
    wire = TwilioWire()
    wire.receive(START)
    assert wire.hello(can) == []
    return wire


def says(wire: TwilioWire, t: int, *events: Event, text: str = "", pcm: np.ndarray = TONE) -> list[dict]:
    return [json.loads(m) for m in wire.send(Frame(t, pcm, text=text, events=events))]


def kinds(messages: list[dict]) -> list[str]:
    return [message["event"] for message in messages]


def loud(message: dict) -> bool:
    return np.abs(decode_ulaw(base64.b64decode(message["media"]["payload"]))).max() > 0.01


# --- literal messages -------------------------------------------------------------------------------------------------


def test_a_call_from_its_first_message_to_its_last():
    wire = TwilioWire()
    assert wire.receive(CONNECTED) == []
    config = SessionConfig(persona="You sell boats.", voice="heart", turns=TurnTaking(), transcribe=False)
    assert wire.receive(START) == [Open("cascade", config)]
    assert [wire.receive(media(n)) for n in (1, 2, 3)] == [[], [], []]
    [heard] = wire.receive(media(4))
    assert heard.t == 0 and not heard.pcm.any()
    assert wire.receive(DTMF % "#") == [Remember("user", "(pressed # on the telephone)")]
    assert wire.receive('{"event":"something new","streamSid":"MZs"}') == []
    assert wire.receive(STOP) == [Bye()]


def test_what_a_tick_becomes_golden():
    wire = started()
    sound, mark = wire.send(Frame(7, SILENCE, text="hi"))
    assert sound == '{"event":"media","streamSid":"MZs","media":{"payload":"' + "/" * 853 + "w==" + '"}}'
    assert mark == '{"event":"mark","streamSid":"MZs","mark":{"name":"7"}}'


def test_there_is_no_message_for_an_error():
    assert TwilioWire.refuse("full") == [] and TwilioWire.declined(Heard("a"), "cannot") == []


def test_a_start_without_parameters_asks_for_the_first_agent():
    plain = json.loads(START)
    del plain["start"]["customParameters"]
    assert TwilioWire().receive(json.dumps(plain)) == [Open("", SessionConfig(turns=TurnTaking()))]


def test_the_callers_side_golden():
    caller = TwilioCaller("MZs")
    connected, start = caller.begin({"agent": "echo"})
    assert json.loads(connected) == json.loads(CONNECTED)
    asked = json.loads(start)["start"]
    assert asked["customParameters"] == {"agent": "echo"} and asked["tracks"] == ["inbound"]
    assert asked["mediaFormat"] == json.loads(START)["start"]["mediaFormat"]
    silence = np.zeros(160, np.float32)
    body = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "/" * 213 + "w=="}
    assert json.loads(caller.say(silence)) == {
        "event": "media",
        "sequenceNumber": "2",
        "streamSid": "MZs",
        "media": body,
    }
    assert json.loads(caller.say(silence))["media"]["timestamp"] == "20"
    assert json.loads(caller.press("1"))["dtmf"] == {"track": "inbound_track", "digit": "1"}
    assert json.loads(caller.passed("7"))["mark"] == {"name": "7"}
    assert json.loads(caller.end())["event"] == "stop"
    assert caller.receive(CLEAR) == Clear() and caller.receive(MARK % "7") == Mark("7")
    heard = caller.receive('{"event":"media","streamSid":"MZs","media":{"payload":"/38A"}}')
    assert isinstance(heard, Media) and heard.pcm.tolist() == [0.0, 0.0, -32124 / 32768]
    for wrong in ('{"event":"start","streamSid":"MZs"}', '{"event":"clear","streamSid":"MZx"}', '{"event":"clear"}'):
        with pytest.raises(BadMessage):
            caller.receive(wrong)
    with pytest.raises(ValueError, match="160 samples at a time"):
        caller.say(np.zeros(80, np.float32))


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 700), min_size=1, max_size=30))
def test_any_cutting_of_the_sound_gives_the_same_frames(cuts):
    data = np.random.default_rng(0).integers(0, 256, sum(cuts), np.uint8).tobytes()
    whole, cut, at, found = started(), started(), 0, []
    for chunk, size in enumerate(cuts, 1):
        found += cut.receive(media(chunk, data[at : at + size]))
        at += size
    wanted = whole.receive(media(1, data))
    assert [f.t for f in found] == list(range(len(data) // 640))
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(found, wanted, strict=True))


def test_one_tick_in_is_one_tick_out_and_never_more():
    wire = started()
    for t in range(50):
        frames = [f for n in range(4) for f in wire.receive(media(t * 4 + n + 1))]
        assert [f.t for f in frames] == [t]
        sound, mark = says(wire, t)
        assert len(base64.b64decode(sound["media"]["payload"])) == 640 and mark["mark"]["name"] == str(t)
        wire.receive(MARK % t)


# --- what was heard, and what is cleared ------------------------------------------------------------------------------


@pytest.mark.parametrize("can", [CASCADE, NATIVE])
def test_an_interruption_clears_and_tells_what_was_heard(can):
    wire = started(can)
    says(wire, 0, Answering(), text="One")
    says(wire, 1, text=" two")
    says(wire, 2, text=" three")
    wire.receive(MARK % "0")
    wire.receive(MARK % "1")
    found = says(wire, 3, SpeechStarted(0), Interrupted("One two three"), Answered("interrupted"), text=" four")
    assert kinds(found) == ["clear", "media", "mark"] and not loud(found[1])
    assert wire.receive(MARK % "2") == [Heard("One two")], "a mark that a clear sends back was not heard"
    assert wire.receive(media(1)) == [], "it is told once"


def test_a_pipeline_is_cleared_at_the_first_word_even_when_it_has_said_all():
    wire = started()
    says(wire, 0, Answering(), text="Bye now.")
    says(wire, 1, Answered("completed"), pcm=SILENCE)
    assert kinds(says(wire, 2, SpeechStarted(0), pcm=SILENCE)) == ["clear", "media", "mark"]
    assert wire.receive(media(1)) == [Heard("")]


def test_nothing_is_cleared_when_all_has_been_played():
    wire = started()
    says(wire, 0, Answering(), text="Bye.")
    says(wire, 1, Answered("completed"), pcm=SILENCE)
    wire.receive(MARK % "0")
    assert kinds(says(wire, 2, SpeechStarted(0), pcm=SILENCE)) == ["media", "mark"]
    assert wire.receive(media(1)) == []


def test_a_full_duplex_agent_talks_on_through_a_backchannel():
    wire = started(NATIVE)
    says(wire, 0, Answering(), text="One")
    assert all(loud(says(wire, t, *events)[0]) for t, events in ((1, [SpeechStarted(0)]), (2, [SpeechStopped(0)])))
    assert wire.receive(media(1)) == []


def test_a_full_duplex_agent_that_gave_way_is_not_heard_any_longer():
    wire = started(NATIVE)
    says(wire, 0, Answering(), text="One")
    says(wire, 1, SpeechStarted(0), text=" two")
    assert kinds(says(wire, 2, Answered("completed"), pcm=SILENCE)) == ["clear", "media", "mark"]
    assert wire.receive(media(1)) == [Heard("")]


@pytest.mark.parametrize("can", [CASCADE, NATIVE])
def test_an_answer_that_is_over_is_heard_to_its_end(can):
    wire = started(can)
    says(wire, 0, SpeechStarted(0), SpeechStopped(0), Answering(), text="One")
    assert kinds(says(wire, 1, Answered("completed"), pcm=SILENCE)) == ["media", "mark"]
    wire.receive(MARK % "1")
    assert wire.receive(media(1)) == []


def test_the_fade_of_an_interrupted_agent_is_dropped_but_not_its_next_answer():
    wire = started()
    says(wire, 0, Answering())
    says(wire, 1, Interrupted(""), Answered("interrupted"))
    assert not loud(says(wire, 2)[0])
    assert loud(says(wire, 3, Answering())[0])


def test_an_agent_that_never_falls_silent_is_not_dropped_for_ever():
    wire = started(NATIVE)
    says(wire, 0)
    assert [loud(says(wire, t, *events)[-2]) for t, events in ((1, [Interrupted("")]), (2, []), (3, []), (4, []))] == [
        False,
        False,
        False,
        True,
    ]


def test_the_words_of_the_last_answer_do_not_count_as_heard_of_this_one():
    wire = started()
    says(wire, 0, Answering(), text="Old")
    says(wire, 1, Answered("completed"), Answering(), text="New")
    wire.receive(MARK % "0")
    says(wire, 2, Interrupted("New"))
    assert wire.receive(media(1)) == [Heard("")]


def test_silence_is_left_out_where_the_phone_is_behind_and_sound_never_is():
    wire = started()
    sent = [kinds(says(wire, t, pcm=SILENCE)) for t in range(7)]
    assert sent == [["media", "mark"]] * 5 + [[]] * 2
    assert kinds(says(wire, 7)) == ["media", "mark"]
    for t in (0, 1, 2, 3, 4):
        wire.receive(MARK % t)
    assert kinds(says(wire, 8, pcm=SILENCE)) == ["media", "mark"]


def test_silence_that_answers_no_sound_is_left_out():
    wire = started()
    assert (wire.lull().t, says(wire, 0, pcm=SILENCE)) == (0, [])
    assert wire.lull().t == 1 and kinds(says(wire, 1)) == ["media", "mark"]
    assert kinds(says(wire, 2, pcm=SILENCE)) == ["media", "mark"]


def test_marks_that_never_come_back_cost_a_bounded_memory():
    wire = started()
    for t in range(800):
        says(wire, t)
    assert wire._unplayed.ticks == 750


# --- what is refused --------------------------------------------------------------------------------------------------


def changed(message: str, **body) -> str:
    return json.dumps({**json.loads(message), **body})


def with_format(**form) -> str:
    start = json.loads(START)
    start["start"]["mediaFormat"].update(form)
    return json.dumps(start)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (media(1), "media before start"),
        (MARK % "1", "mark before start"),
        (DTMF % "1", "dtmf before start"),
        (b"\x00", "got a binary one"),
        ("{", "must be JSON"),
        ("[]", "must be a JSON object"),
        ('{"event":1}', "with an 'event'"),
        (with_format(encoding="audio/opus"), "must be audio/x-mulaw, 8000 Hz, 1 channel; got audio/opus, 8000, 1"),
        (with_format(sampleRate=16000), "got audio/x-mulaw, 16000, 1"),
        (with_format(sampleRate="fast"), "start.mediaFormat.sampleRate must be a whole number, got 'fast'"),
        (with_format(channels=2), "got audio/x-mulaw, 8000, 2"),
        (changed(START, streamSid=None), "streamSid must be a string"),
        (changed(START, start=[]), "message.start must be an object"),
        (START.replace('"heart"', "7"), "customParameters.voice must be a string"),
        (START.replace('"heart"', '"\\ud800"'), "a message must be JSON of whole characters"),
    ],
)
def test_refused_before_the_start(message, reason):
    with pytest.raises(BadMessage, match=reason.replace("(", r"\(")):
        TwilioWire().receive(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (START, "starts once"),
        (changed(media(6), streamSid="MZother"), "streamSid must be 'MZs', got 'MZother'"),
        (json.dumps({"event": "media", "media": {"payload": ""}}), "message.streamSid must be a string"),
        (media(5), "media.chunk must be more than 5, the last one, got 5"),
        (media(1), "must be more than 5, the last one, got 1"),
        (media(6).replace('"6"', '"six"'), "media.chunk must be a whole number, got 'six'"),
        (changed(media(6), media={"payload": "!!!!"}), "media.payload must be base64"),
        (changed(media(6), media={"payload": "é"}), "media.payload must be base64"),
        (changed(media(6), media={}), "media.payload must be a string"),
        (media(6, bytes(480_001)), "a message may hold 60 s of sound"),
        (DTMF % "12", "dtmf.digit must be one of"),
        (DTMF % "", "dtmf.digit must be one of"),
        (changed(MARK % "1", mark=3), "message.mark must be an object"),
    ],
)
def test_refused_in_a_call(message, reason):
    wire = started()
    wire.receive(media(5))
    with pytest.raises(BadMessage, match=reason):
        wire.receive(message)


def test_chunks_that_were_lost_and_other_tracks_are_let_pass():
    wire = started()
    wire.receive(media(1, b"\x00" * 640))
    assert [f.t for f in wire.receive(media(9, b"\x00" * 640))] == [1]
    outbound = changed(media(10), media={"track": "outbound", "chunk": "1", "payload": "AAAA"})
    assert wire.receive(outbound) == []
    assert wire.receive(changed(media(10), media={"payload": ""})) == []


def test_marks_that_mean_nothing_change_nothing():
    wire = started()
    says(wire, 0, Answering(), text="One")
    for name in ("", "7", "-1", "0x0", "\u0660", "0.0"):
        assert wire.receive(MARK % name) == []
    assert wire._unplayed.ticks == 1


words = st.sampled_from(
    [
        "event",
        "media",
        "mark",
        "start",
        "dtmf",
        "stop",
        "payload",
        "chunk",
        "name",
        "streamSid",
        "MZs",
        "digit",
        "track",
    ]
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=6),
    max_leaves=10,
)
bodies = st.dictionaries(words, jsons, max_size=4)
shaped = st.builds(
    lambda event, body: json.dumps({"event": event, "streamSid": "MZs", event: body}),
    st.sampled_from(["media", "mark", "dtmf", "start", "stop", "clear"]),
    bodies,
)
messages = st.binary(max_size=30) | st.text(max_size=20) | jsons.map(json.dumps) | shaped


@pytest.mark.parametrize("side", ["fresh", "started", "caller"])
@settings(max_examples=60)
@given(stream=st.lists(messages, max_size=4))
def test_only_results_or_bad_message(side, stream):
    receive = {"fresh": TwilioWire(), "started": started(), "caller": TwilioCaller("MZs")}[side].receive
    for message in stream:
        try:
            items = receive(message)
        except BadMessage as error:
            assert str(error)
            return
        kind = (Media, Mark, Clear) if side == "caller" else list
        assert isinstance(items, kind)
        if isinstance(items, list):
            assert all(isinstance(item, (Frame, Remember, Heard, Bye, Open)) for item in items)
