"""A recorded user against a real server: what is recorded, and what a person reads when it fails."""

import asyncio

import numpy as np
import pytest
from aiohttp import web

from duplex.agents.echo import open_echo
from duplex.clients.call import CallFailed
from duplex.clients.replay import main, replay
from duplex.events import Interrupted
from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG
from duplex.protocols.opus import OPUS_DELAY_SAMPLES
from duplex.recording import Recording
from tests.clients.test_wav import written
from tests.server.site import chirp, codes_echo, failing, site, turn_teller

TICKS = 12
LAG = PLAYOUT_LAG * FRAME_SAMPLES


class EveryOther:
    """Eight samples of a tick as codes, and back."""

    codebooks = 8
    sha256 = "c0ffee"

    def __init__(self) -> None:
        self.resets = 0

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        return (pcm[:8] * 1000 + 1000).astype(np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return np.full(FRAME_SAMPLES, codes[0] / 2048, np.float32)

    def reset(self) -> None:
        self.resets += 1


@pytest.mark.parametrize("realtime", [True, False])
async def test_pcm_records_both_sides_and_both_times(tmp_path, realtime):
    pcm = chirp(TICKS)
    async with site() as here:
        facts = {"wire": "pcm", "agent": "echo", "realtime": realtime, "meta": {"scenario": "s1"}}
        await replay(here.base, pcm[:-100], tmp_path / "r", tail_s=0.1, **facts)
    recording = Recording.open(tmp_path / "r")
    assert [tick.t for tick in recording.ticks] == list(range(TICKS + 2)), "the last tick is filled up with silence"
    assert recording.user[: len(pcm) - 100] == pytest.approx(pcm[:-100], abs=1e-4)
    assert recording.agent[LAG : LAG + len(pcm) - 100] == pytest.approx(pcm[:-100], abs=1e-4)
    heard = [tick.heard_ms for tick in recording.ticks]
    if realtime:
        assert heard == [80.0 * (t + 1) for t in range(TICKS + 2)], "a frame is heard when the microphone has it whole"
    assert all(a <= b for a, b in zip(heard, [tick.said_ms for tick in recording.ticks], strict=True))
    assert recording.meta["scenario"] == "s1" and recording.meta["server"]["wire"] == "pcm"
    assert (recording.meta["agent"], recording.meta["realtime"]) == ("echo", realtime)


async def test_chat_puts_every_frame_at_its_tick(tmp_path):
    pcm = chirp(TICKS)
    async with site() as here:
        await replay(here.base, pcm, tmp_path / "r", wire="chat", agent="echo", realtime=False)
    recording = Recording.open(tmp_path / "r")
    assert [tick.t for tick in recording.ticks] == list(range(TICKS))
    delay = int(np.correlate(recording.agent, recording.user[3_840:19_200], "valid").argmax()) - 3_840 - LAG
    assert abs(delay - 2 * OPUS_DELAY_SAMPLES) <= 5, "Opus is late both ways, and the recording shows it"
    assert recording.meta["opus_delay_samples"] == OPUS_DELAY_SAMPLES


@pytest.mark.parametrize("wire", ["chat", "pcm"])
async def test_text_and_events_land_in_their_tick(tmp_path, wire):
    words: list[str] = []
    talk = np.concatenate([chirp(5), np.zeros(10 * FRAME_SAMPLES, np.float32), chirp(5)])
    async with site() as here:
        options = {"realtime": False, "tail_s": 1.0, "on_text": words.append}
        await replay(here.base, talk, tmp_path / "r", wire=wire, agent="scripted", **options)
    recording = Recording.open(tmp_path / "r")
    spoken = [tick.t for tick in recording.ticks if tick.agent_text]
    assert spoken[0] == 8, "the user ends with tick 4; the reply starts 240 ms later"
    assert recording.ticks[8].agent_text == "tone" and "".join(words).startswith("tone")
    if wire == "pcm":
        assert [fields["heard"] for _, fields in recording.events(Interrupted)] == ["tone"]


async def test_tokens_keep_the_codes_and_decode_them(tmp_path):
    pcm, codec = chirp(TICKS), EveryOther()
    async with site({"codes": codes_echo()}) as here:
        await replay(here.base, pcm, tmp_path / "r", wire="tokens", agent="codes", realtime=False, codec=codec)
    recording = Recording.open(tmp_path / "r")
    for tick in recording.ticks:
        expected = codec.encode(pcm[tick.t * FRAME_SAMPLES :])
        assert tick.codes == {"user": expected.tolist(), "agent": (expected + 1).tolist()}
        begin = LAG + tick.t * FRAME_SAMPLES
        assert recording.agent[begin] == pytest.approx((expected[0] + 1) / 2048, abs=1e-4)
    assert recording.ticks[1].agent_text == " one" and codec.resets == 1


async def test_what_was_answered_before_the_server_broke_is_kept(tmp_path):
    async with site({"failing": failing()}) as here:
        with pytest.raises(CallFailed, match=r"the agent failed; .* \(code 1011\); 2 of 12 ticks were answered"):
            await replay(here.base, chirp(TICKS), tmp_path / "r", wire="pcm", agent="failing", realtime=False)
    assert len(Recording.open(tmp_path / "r").ticks) == 2


@pytest.mark.parametrize("wire", ["chat", "pcm", "tokens"])
async def test_refusals_are_told_in_words(tmp_path, wire):
    async def call(**options):
        options = {"wire": wire, "agent": "echo", "codec": EveryOther(), "key": "k", "realtime": False, **options}
        await replay(here.base, chirp(1), tmp_path / "r", **options)

    async with site({"echo": open_echo({}), "full": codes_echo(seats=0)}, key="k") as here:
        with pytest.raises(CallFailed, match=r"no agent 'nobody'; here: echo, full \(code 1008\)"):
            await call(agent="nobody")
        with pytest.raises(CallFailed, match="asks for a key, or this one is wrong: give --key KEY"):
            await call(key="wrong")
        with pytest.raises(CallFailed, match=r"all 0 seats are taken \(code 1013\)"):
            await call(agent="full")
        with pytest.raises(CallFailed, match="text_topk must be 1 to 500, got 0"):
            await call(query={"text_topk": "0"})
        with pytest.raises(CallFailed, match="no wire 'carrier pigeon'; known: chat, tokens, pcm"):
            await call(wire="carrier pigeon")
    with pytest.raises(CallFailed, match=r"no server at .*; start one with: duplex serve"):
        await call()
    assert not list(tmp_path.iterdir()), "no recording of a call that never began"


async def test_a_codec_that_is_missing_or_does_not_fit_is_told(tmp_path):
    codec, other = EveryOther(), EveryOther()
    codec.codebooks, other.sha256 = 4, "decaf"
    async with site({"codes": codes_echo()}) as here:
        with pytest.raises(CallFailed, match="the codec has 4 codebooks, the server speaks 8"):
            await replay(here.base, chirp(1), tmp_path / "r", wire="tokens", agent="", codec=codec)
        with pytest.raises(CallFailed, match="weights are decaf, the server's c0ffee"):
            await replay(here.base, chirp(1), tmp_path / "r", wire="tokens", agent="", codec=other)
        with pytest.raises(CallFailed, match="carries Mimi codes: give the agent's codec"):
            await replay(here.base, chirp(1), tmp_path / "r", wire="tokens", agent="")


async def test_a_server_of_another_kind_is_told(tmp_path):
    async def strange(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("welcome to the fish market")
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get("/api/pcm", strange)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"127.0.0.1:{runner.addresses[0][1]}"
    with pytest.raises(CallFailed, match="the server speaks another protocol: a text message must be JSON"):
        await replay(url, chirp(1), tmp_path / "r", wire="pcm", agent="")
    with pytest.raises(CallFailed, match="that server has no such wire"):
        await replay(url, chirp(1), tmp_path / "r", wire="chat", agent="")
    await runner.cleanup()


async def test_the_command_line_of_replay(tmp_path, capsys):
    wav = written(tmp_path / "user.wav", np.zeros((4_000, 2)), 8_000)
    out = ["--out", str(tmp_path / "r"), "--fast", "--tail-s", "0.5"]
    async with site() as here:
        call = ["--url", here.base, "--wire", "pcm", *out]
        assert await asyncio.to_thread(main, [str(wav), *call]) == 0
        assert len(Recording.open(tmp_path / "r").ticks) == 13
        assert await asyncio.to_thread(main, [str(tmp_path / "no.wav"), *call]) == 2
    assert "replay: " in capsys.readouterr().err


@pytest.mark.parametrize("wire", ["realtime", "live", "gemini"])
async def test_what_comes_as_it_is_made_is_recorded_as_a_listener_hears_it(tmp_path, wire):
    talk = np.concatenate([chirp(5), np.zeros(30 * FRAME_SAMPLES, np.float32)])
    async with site({"turns": turn_teller()}, paced=True) as here:
        await replay(here.base, talk, tmp_path / "r", wire=wire, agent="turns")
    recording = Recording.open(tmp_path / "r")
    assert [tick.t for tick in recording.ticks] == list(range(35))
    loud = np.flatnonzero(np.abs(recording.agent) > 0.05)
    assert len(loud) and 10 <= loud[0] // FRAME_SAMPLES <= 16, (
        "it speaks from tick 10 on, and is sent at most 240 ms ahead"
    )
    assert abs((loud[-1] - loud[0]) / FRAME_SAMPLES - 5) < 0.2, "all five ticks of it, and nothing twice"
    assert "".join(tick.agent_text for tick in recording.ticks).strip() == "well"


@pytest.mark.parametrize("wire", ["realtime", "live", "gemini"])
async def test_such_a_wire_goes_in_real_time_only(tmp_path, wire):
    with pytest.raises(CallFailed, match="real time only"):
        await replay("ws://127.0.0.1:9", chirp(1), tmp_path / "r", wire=wire, agent="turns", realtime=False)
