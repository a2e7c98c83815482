"""Twilio at the door: TwiML, signatures; and a media stream over a real socket, tick by tick, and when it is wrong."""

import asyncio
import base64
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from duplex.frame import FRAME_SAMPLES, Frame
from duplex.notes import TurnTaking
from duplex.protocols.twilio import TwilioCaller
from duplex.server.twilio import signature, twiml
from duplex.session import Capabilities
from tests.server.site import Puppet, ending, site

SILENCE = np.zeros(160, np.float32)
QUERY = {"agent": "echo", "persona": """<"Bob"> & 'co'""", "CallSid": "CA1"}


# --- TwiML ------------------------------------------------------------------------------------------------------------


def test_twiml_golden():
    assert twiml("wss://example.org/twilio", {"agent": 'a"<&'}) == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="wss://example.org/twilio">'
        '<Parameter name="agent" value=\'a"&lt;&amp;\'/></Stream></Connect></Response>'
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("proto", "scheme"), [(None, "ws"), ("https", "wss"), ("https,http", "wss"), ("http", "ws")])
async def test_the_webhook_of_a_number(method, proto, scheme):
    async with site() as here:
        headers = {"X-Forwarded-Proto": proto} if proto else {}
        async with here.http.request(method, here.base + "/twilio/voice", params=QUERY, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "text/xml")
            [stream] = ElementTree.fromstring(await answer.text()).findall("./Connect/Stream")
    assert stream.get("url") == here.base.replace("http", scheme, 1) + "/twilio"
    found = {parameter.get("name"): parameter.get("value") for parameter in stream}
    assert found == {"agent": "echo", "persona": QUERY["persona"]}, "what is not ours does not go into the call"


async def test_what_xml_cannot_carry_is_refused():
    async with site() as here, here.http.get(here.base + "/twilio/voice?persona=%00") as answer:
        assert answer.status == 400 and "XML cannot carry" in await answer.text()


# --- signatures -------------------------------------------------------------------------------------------------------


def test_the_signature_of_twilios_own_example():
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212"}
    assert signature("12345", url, {**form, "Caller": "+14158675309"}.items()) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


async def test_what_twilio_signed_comes_in_and_nothing_else():
    form = {"CallSid": "CA1", "Caller": "+49"}
    async with site(twilio_token="t0ken") as here:
        host, voice = here.base.removeprefix("http://"), here.base + "/twilio/voice?agent=echo"

        async def post(signed: str, **options) -> int:
            headers = {"X-Twilio-Signature": signed}
            async with here.http.post(voice, headers=headers, **{"data": form, **options}) as answer:
                return answer.status

        good = signature("t0ken", f"https://{host}/twilio/voice?agent=echo", form.items())
        assert await post(good) == 200
        assert await post(good, data={**form, "Caller": "+1"}) == 403
        assert await post(signature("other", voice, form.items())) == 403
        assert await post("\u00e9") == 403 and await post("") == 403
        for url in (f"wss://{host}/twilio", f"wss://{host}/twilio/"):
            socket = await here.call("/twilio", headers={"X-Twilio-Signature": signature("t0ken", url)})
            await socket.close()
        async with here.http.get(here.base + "/twilio") as answer:
            assert answer.status == 403 and "X-Twilio-Signature does not fit" in await answer.text()
        async with here.http.get(here.base + "/health") as answer:
            assert answer.status == 200


async def test_a_body_that_cannot_be_read_is_not_signed():
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=nonsense", "X-Twilio-Signature": "x"}
    async with (
        site(twilio_token="t") as here,
        here.http.post(here.base + "/twilio/voice", data=b"a=%ff", headers=headers) as answer,
    ):
        assert answer.status == 403


async def test_with_a_key_and_a_token_either_will_do():
    async with site(twilio_token="t", key="k") as here:
        for url, status in (("/twilio/voice", 401), ("/twilio/voice?key=k", 200)):
            async with here.http.get(here.base + url) as answer:
                assert answer.status == status
        signed = signature("t", here.base + "/twilio/voice")
        async with here.http.get(here.base + "/twilio/voice", headers={"X-Twilio-Signature": signed}) as answer:
            assert answer.status == 200


# --- the stream -------------------------------------------------------------------------------------------------------


def humming(heard: Frame) -> Frame:
    return Frame(heard.t, np.full(FRAME_SAMPLES, 0.1, np.float32))


async def test_sound_comes_every_tick_and_no_tick_brings_more():
    """Lock step: four chunks in, one tick of sound and its mark out, and nothing else until the next four."""
    async with site({"hum": Puppet(humming, Capabilities("hum"))}, paced=True) as here:
        socket, caller = await here.call("/twilio"), TwilioCaller()
        for message in caller.begin({"agent": "hum"}):
            await socket.send_str(message)
        names: list[int] = []
        for tick in range(20):
            for _ in range(4):
                await socket.send_str(caller.say(SILENCE))
            while len(names) <= tick or names[-1] < tick:
                sound, mark = [json.loads((await socket.receive(5)).data) for _ in range(2)]
                assert (sound["event"], mark["event"]) == ("media", "mark")
                assert len(base64.b64decode(sound["media"]["payload"])) == 640, "80 ms, never a burst"
                names.append(int(mark["mark"]["name"]))
                await socket.send_str(caller.passed(mark["mark"]["name"]))
        assert names == list(range(len(names)))
        await socket.send_str(caller.end())
        _, code, reason = await ending(socket)
        assert (code, reason) == (1000, "the client said goodbye")


async def test_in_real_time_the_ticks_come_in_real_time():
    async with site({"hum": Puppet(humming, Capabilities("hum"))}, paced=True) as here:
        socket, caller, loop = await here.call("/twilio"), TwilioCaller(), asyncio.get_running_loop()
        for message in caller.begin({}):
            await socket.send_str(message)
        began, came = loop.time(), []

        async def speak() -> None:
            for chunk in range(100):
                await asyncio.sleep(max(0, began + (chunk + 1) * 0.02 - loop.time()))
                await socket.send_str(caller.say(SILENCE))

        speaking = asyncio.create_task(speak())
        while len(came) < 24:
            if json.loads((await socket.receive(5)).data)["event"] == "media":
                came.append(loop.time() - began)
        await speaking
        await socket.close()
    ahead = [t * 0.08 - at for t, at in enumerate(came)]
    assert max(ahead) < 0.24, "no more than what may be ahead"
    assert np.median(np.diff(came)) == pytest.approx(0.08, abs=0.03)


async def test_what_the_call_asks_for_reaches_the_agent():
    agent = Puppet(humming, Capabilities("hum", persona=True, voices=("heart",)))
    async with site({"hum": agent}) as here:
        socket = await here.call("/twilio")
        for message in TwilioCaller().begin({"agent": "hum", "persona": "Sing.", "voice": "heart"}):
            await socket.send_str(message)
        assert (await socket.receive(5)).data
        await socket.close()
    [asked] = agent.asked
    assert (asked.persona, asked.voice, asked.turns, asked.transcribe) == ("Sing.", "heart", TurnTaking(), False)


@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        (lambda caller: [caller.say(SILENCE)], 1007, "media before start"),
        (lambda caller: ["nonsense"], 1007, "a message must be JSON"),
        (lambda caller: [b"\x00" * 160], 1007, "got a binary one"),
        (lambda caller: [*caller.begin({"agent": "nobody"})], 1008, "no agent 'nobody'"),
        (lambda caller: [*caller.begin(), *TwilioCaller("MZother").begin()[1:]], 1007, "starts once"),
        (lambda caller: [*caller.begin(), TwilioCaller("MZother").say(SILENCE)], 1007, "streamSid must be"),
        (
            lambda caller: [*caller.begin(), caller.say(SILENCE), TwilioCaller().say(SILENCE)],
            1007,
            "media.chunk must be",
        ),
        (lambda caller: [caller.begin()[0], caller.end()], 1000, "goodbye"),
    ],
)
async def test_who_does_not_keep_to_it_is_told_why(wrong, code, reason):
    async with site() as here:
        socket = await here.call("/twilio")
        for message in wrong(TwilioCaller()):
            await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
        _, got, why = await ending(socket)
        assert got == code and reason in why
        assert not here.house.in_use.total()
