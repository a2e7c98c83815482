"""A telephone that calls a server over Twilio Media Streams, and what its user hears.

It does what Twilio does: sends 20 ms of mu-law every 20 ms, plays what it gets out of a buffer, returns the marks,
obeys `clear`. All is counted at the phone's own clock: in slot k the microphone records, and the loudspeaker plays,
samples [160 k, 160 (k + 1)); when it is over, what was recorded is sent and the marks of what was played go back. What
sounds when a `clear` comes sounds to the end of its slot.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from duplex.clients.barge import BargeIn, barge_ins, told
from duplex.clients.call import CallFailed
from duplex.clients.line import Line
from duplex.clients.playout import Playout
from duplex.clients.wav import load_wav
from duplex.compat import TaskGroup
from duplex.frame import SAMPLE_RATE
from duplex.protocols.g711 import decode_ulaw, encode_ulaw
from duplex.protocols.resample import Resampler
from duplex.protocols.twilio import CHUNK_MS, CHUNK_SAMPLES, PHONE_HZ, Mark, Media, TwilioCaller
from duplex.protocols.wire import BadMessage
from duplex.recording import Recording

_GOODBYE_S = 2.0  # for the server to close after `stop`


@dataclass(frozen=True, slots=True)
class PhoneReport:
    """What one call was like at the phone's end."""

    barge_ins: tuple[BargeIn, ...]
    clears_ms: tuple[float, ...]  # when each came, since the call began
    late_ms: float  # the most that this phone was behind its own clock: times are as wrong as that


async def ring(
    url: str,
    pcm: np.ndarray,  # float32 [n], 24 kHz
    recording: Path,
    *,
    agent: str = "",
    parameters: Mapping[str, str] | None = None,
    digits: str = "",
    tail_s: float = 0,
    key: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> PhoneReport:
    """Call `agent` at `url` (ws://host:port), say `pcm` and `tail_s` seconds of silence in real time, and hang up.

    `recording` is the path without suffix; it holds the line as this phone heard it. `parameters` are what TwiML would
    hand over besides the agent: persona, voice, language. `digits` are pressed as the call begins. Raises CallFailed;
    what was recorded until then stays.
    """
    chunks = _on_the_line(pcm, tail_s)
    given = {**(parameters or {}), **({"agent": agent} if agent else {})}
    facts = {"agent": agent, "wire": "twilio", "realtime": True, "heard_at": "the phone", **(meta or {})}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    address = f"{url if '://' in url else f'ws://{url}'}".rstrip("/") + "/twilio"
    async with aiohttp.ClientSession() as http:
        try:
            socket = await http.ws_connect(address, headers=headers)
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
            raise CallFailed(f"no phone line at {address}: {error}") from None
        async with socket:
            with Line(recording, PHONE_HZ, facts) as line:
                phone = _Phone(socket, line)
                await phone.call(given, digits, chunks)
    heard = Recording.open(recording)
    clears_ms = tuple(phone.clears_ms)
    return PhoneReport(tuple(barge_ins(heard.user, heard.agent, clears_ms)), clears_ms, phone.late_ms)


def _on_the_line(pcm: np.ndarray, tail_s: float) -> np.ndarray:
    """24 kHz -> float32 [slots, 160] as mu-law leaves it, in place; the last slot is filled up with silence."""
    resampler = Resampler(SAMPLE_RATE, PHONE_HZ)
    after = np.zeros(round((tail_s + resampler.delay_samples / PHONE_HZ) * SAMPLE_RATE), np.float32)
    narrow = resampler.push(np.concatenate([pcm, after]))[resampler.delay_samples :]
    whole = np.concatenate([narrow, np.zeros(-len(narrow) % CHUNK_SAMPLES, np.float32)])
    return decode_ulaw(encode_ulaw(whole)).reshape(-1, CHUNK_SAMPLES)


class _Phone:
    """Two tasks: one keeps the slots, one does what the server says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, line: Line) -> None:
        self._socket, self._line = socket, line
        self._caller, self._playout = TwilioCaller(), Playout()
        self._began_s = 0.0
        self.clears_ms: list[float] = []
        self.late_ms = 0.0

    async def call(self, parameters: Mapping[str, str], digits: str, chunks: np.ndarray) -> None:
        """Raises CallFailed when the server hangs up first."""
        for message in [*self._caller.begin(parameters), *map(self._caller.press, digits)]:
            await self._send(message)
        self._began_s = time.monotonic()
        failure = None
        async with TaskGroup() as tasks:
            listening, talking = tasks.create_task(self._listen()), tasks.create_task(self._talk(chunks))
            await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
            if talking.done():
                await asyncio.wait({listening}, timeout=_GOODBYE_S)
                listening.cancel()
            else:
                talking.cancel()
                failure = listening.result()
        if failure:
            raise CallFailed(failure)

    async def _talk(self, chunks: np.ndarray) -> None:
        for slot, said in enumerate(chunks):
            heard = self._playout.pull(CHUNK_SAMPLES)
            await self._until((slot + 1) * CHUNK_MS)
            self._line.append(said, heard)
            await self._send(self._caller.say(said))
            await self._return_marks()
        await self._send(self._caller.end())

    async def _until(self, at_ms: float) -> None:
        await asyncio.sleep(max(0.0, at_ms - self._now_ms()) / 1000)
        self.late_ms = max(self.late_ms, self._now_ms() - at_ms)

    async def _listen(self) -> str:
        """Until the server closes; why it did."""
        while (message := await self._socket.receive()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            try:
                item = self._caller.receive(message.data)
            except BadMessage as error:
                return f"the server speaks another protocol: {error}"
            if isinstance(item, Media):
                self._playout.push(item.pcm)
            elif isinstance(item, Mark):
                self._playout.mark(item.name)
            else:
                self.clears_ms.append(self._now_ms())
                self._playout.clear()
                await self._return_marks()
        why = (message.extra if message.type is aiohttp.WSMsgType.CLOSE else "") or "no reason given"
        return f"the server hung up: {why} (code {self._socket.close_code})"

    async def _return_marks(self) -> None:
        for name in self._playout.passed():
            await self._send(self._caller.passed(name))

    async def _send(self, message: bytes | str) -> None:
        with suppress(ConnectionError):  # whoever listens knows why
            await self._socket.send_str(str(message))

    def _now_ms(self) -> float:
        return (time.monotonic() - self._began_s) * 1000


def main(argv: list[str] | None = None) -> int:
    """`python -m duplex.clients.phone caller.wav --out NAME`."""
    parser = argparse.ArgumentParser(prog="python -m duplex.clients.phone", description=ring.__doc__)
    parser.add_argument("wav", type=Path, help="the caller: any rate, any number of channels")
    parser.add_argument("--out", type=Path, required=True, help="the recording, without suffix")
    parser.add_argument("--url", default="ws://127.0.0.1:8998")
    parser.add_argument("--agent", default="", help="default: the server's first")
    parser.add_argument("--persona", default="")
    parser.add_argument("--voice", default="")
    parser.add_argument("--digits", default="", help="to press as the call begins")
    parser.add_argument("--tail-s", type=float, default=5.0, help="seconds of silence after the caller")
    parser.add_argument("--key")
    args = parser.parse_args(argv)
    parameters = {name: value for name in ("persona", "voice") if (value := getattr(args, name))}
    facts = {"agent": args.agent, "parameters": parameters, "digits": args.digits, "key": args.key}
    try:
        report = asyncio.run(ring(args.url, load_wav(args.wav), args.out, tail_s=args.tail_s, **facts))
    except (OSError, ValueError) as error:
        print(f"phone: {error}", file=sys.stderr)
        return 2
    print(*told(report.barge_ins), sep="\n")
    print(f"this phone was late by {report.late_ms:.0f} ms at most\n{args.out}.wav {args.out}.jsonl")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
