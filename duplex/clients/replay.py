"""Plays a recorded user to a server over any of our wires and keeps what both sides did as a Recording.

Judges nothing. On the wire "chat" the Opus codec makes each direction OPUS_DELAY_SAMPLES (6.5 ms) late; the samples are
recorded as they come, so that a reply sounds up to 13 ms later than over the other wires.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from duplex.clients.call import WIRES, Call, CallFailed, dial
from duplex.clients.playout import Loudspeaker
from duplex.clients.wav import load_wav
from duplex.codec import Codec, open_codec
from duplex.compat import TaskGroup
from duplex.frame import FRAME_MS, PLAYOUT_LAG, SAMPLE_RATE, Frame, frames_of
from duplex.protocols.opus import OPUS_DELAY_SAMPLES
from duplex.protocols.wire import Aside, Hushed, Sound
from duplex.recording import RecordingWriter


async def replay(
    url: str,
    pcm: np.ndarray,  # float32 [n], 24 kHz
    recording: Path,
    *,
    wire: str,  # of call.WIRES
    agent: str,
    realtime: bool = True,
    tail_s: float = 0,
    key: str | None = None,
    query: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
    codec: Codec | None = None,
    on_text: Callable[[str], object] = lambda text: None,
) -> None:
    """Say `pcm` and `tail_s` seconds of silence to `agent` at `url`; `recording` is the path without suffix.

    In real time frame t is heard when it is complete at the microphone, (t + 1) * 80 ms after the start, and sent then;
    otherwise it is sent as fast as the server takes it. `said_ms` is when the agent's frame t arrived. The wire
    "tokens" needs the agent's `codec`. Over others' protocols (realtime, live, gemini) sound comes as it is made: there
    is only real time, and what is recorded is what a listener hears, to the sample, out of a play-out buffer that never
    waits: frame t is what sounds from tick t + PLAYOUT_LAG on, `said_ms` when it begins to.
    `on_text` gets the agent's words as they come. Raises CallFailed; what was recorded until then stays.
    """
    if wire == "tokens" and codec is None:
        raise CallFailed("the wire 'tokens' carries Mimi codes: give the agent's codec")
    if wire in WIRES and WIRES[wire].played and not realtime:
        raise CallFailed(f"the wire {wire!r} goes in real time only")
    user = list(frames_of(np.concatenate([pcm, np.zeros(round(tail_s * SAMPLE_RATE), np.float32)])))
    async with dial(url, wire=wire, agent=agent, key=key, query=query) as call:
        facts = {"wire": wire, "realtime": realtime, "opus_delay_samples": OPUS_DELAY_SAMPLES if wire == "chat" else 0}
        coder = _Coder(codec, call.facts) if codec and wire == "tokens" else None
        with RecordingWriter(
            recording, {"agent": agent, **facts, "server": dict(call.facts), **(meta or {})}
        ) as writer:
            await _Replay(call, user, writer, coder, WIRES[wire].played, realtime, on_text).run()


class _Replay:
    """Three tasks: one speaks, one stamps what arrives, one writes it down."""

    def __init__(
        self,
        call: Call,
        user: list[Frame],
        writer: RecordingWriter,
        coder: _Coder | None,
        played: bool,
        realtime: bool,
        on_text: Callable[[str], object],
    ) -> None:
        self._call, self._user, self._writer, self._coder = call, user, writer, coder
        self._player = Loudspeaker(self._now_ms) if played else None
        self._realtime, self._on_text = realtime, on_text
        self._began_s = time.monotonic()
        self._heard: list[tuple[Frame, float]] = []  # (frame, ms) of every tick that was sent
        self._arrived: asyncio.Queue[tuple[Frame | Aside, float] | None] = asyncio.Queue()

    async def run(self) -> None:
        async with TaskGroup() as tasks:
            speaking = tasks.create_task(self._speak())
            hearing = tasks.create_task(self._heard_out())
            tasks.create_task(self._write())
            await (asyncio.wait([speaking, hearing], return_when=asyncio.FIRST_COMPLETED) if self._player else hearing)
            over = hearing.done()
            speaking.cancel()
            hearing.cancel()
            self._arrived.put_nowait(None)
        if over and (failure := hearing.result()):
            raise failure

    async def _heard_out(self) -> CallFailed | None:
        """Listens to the end, and returns why it came too early."""
        try:
            await (self._overhear(self._player) if self._player else self._listen())
        except CallFailed as error:
            return error
        return None

    def _now_ms(self) -> float:
        return (time.monotonic() - self._began_s) * 1000

    async def _speak(self) -> None:
        for heard in self._user:
            complete_ms = float((heard.t + 1) * FRAME_MS)
            if self._realtime:
                await asyncio.sleep(max(0.0, complete_ms - self._now_ms()) / 1000)
            said_at_ms = complete_ms if self._realtime else self._now_ms()
            if self._coder:
                heard = await self._coder.encoded(heard)
            self._heard.append((heard, said_at_ms))
            if not await self._call.say(heard):
                return
            self._sounded(heard.t)
        if self._player:
            await asyncio.sleep(max(0.0, (len(self._user) + PLAYOUT_LAG) * FRAME_MS - self._now_ms()) / 1000)
            self._sounded(len(self._user))

    def _sounded(self, t: int) -> None:
        """Tick t is over: what was heard in it was said PLAYOUT_LAG ticks before."""
        if self._player:
            pcm = self._player.take(float((t + 1) * FRAME_MS))
            if t >= PLAYOUT_LAG:  # a Recording has no place for what sounds before
                self._arrived.put_nowait((Frame(t - PLAYOUT_LAG, pcm), float(t * FRAME_MS)))

    async def _listen(self) -> None:
        ticks = 0
        while ticks < len(self._user):
            try:
                item = await self._call.hear()
            except CallFailed as error:
                raise CallFailed(f"{error}; {ticks} of {len(self._user)} ticks were answered") from None
            if isinstance(item, (Sound, Hushed)):
                raise CallFailed("the server speaks another protocol: sound without a tick")
            self._arrived.put_nowait((item, self._now_ms()))
            ticks += isinstance(item, Frame)
            if ticks > len(self._heard):
                raise CallFailed(f"the server answered tick {ticks - 1} before it was asked")

    async def _overhear(self, player: Loudspeaker) -> None:
        """Until the server hangs up: sound is played, and whatever else it says goes with the tick of its arrival."""
        while True:
            item = await self._call.hear()
            if isinstance(item, Hushed):
                player.clear()
            elif isinstance(item, Aside):
                self._arrived.put_nowait((replace(item, t=max(0, len(self._heard) - 1)), self._now_ms()))
            elif item.pcm is not None:
                player.push(item.pcm)

    async def _write(self) -> None:
        """A tick is written when the next one arrives: only then is its text complete, whatever the wire's order."""
        said: list[tuple[Frame, float]] = []
        asides: dict[int, list[Aside]] = defaultdict(list)
        while arrival := await self._arrived.get():
            item, at_ms = arrival
            if isinstance(item, Aside):
                asides[item.t].append(item)
                self._on_text(item.text)
                continue
            if said:
                self._put(*said.pop(), asides.pop(item.t - 1, []))
            said.append((await self._coder.decoded(item) if self._coder else item, at_ms))
        if said:
            self._put(*said[0], asides.pop(said[0][0].t, []))

    def _put(self, said: Frame, said_ms: float, asides: list[Aside]) -> None:
        text = said.text + "".join(aside.text for aside in asides)
        events = sum((aside.events for aside in asides), said.events)
        heard, heard_ms = self._heard[said.t]
        self._writer.append(heard, replace(said, text=text, events=events), heard_ms, said_ms)


class _Coder:
    """Mimi off the event loop, one call at a time: a codec is not thread-safe."""

    def __init__(self, codec: Codec, facts: Mapping[str, Any]) -> None:
        """Raises CallFailed when the codec does not fit what the server told."""
        if codec.codebooks != facts.get("codebooks"):
            raise CallFailed(f"the codec has {codec.codebooks} codebooks, the server speaks {facts.get('codebooks')}")
        if facts.get("codec") not in (None, "", codec.sha256):
            raise CallFailed(f"the codec's weights are {codec.sha256[:12]}, the server's {str(facts['codec'])[:12]}")
        codec.reset()
        self._codec, self._lock = codec, asyncio.Lock()

    async def encoded(self, frame: Frame) -> Frame:
        assert frame.pcm is not None
        async with self._lock:
            return replace(frame, codes=await asyncio.to_thread(self._codec.encode, frame.pcm))

    async def decoded(self, frame: Frame) -> Frame:
        assert frame.codes is not None
        async with self._lock:
            return replace(frame, pcm=await asyncio.to_thread(self._codec.decode, frame.codes))


def main(argv: list[str] | None = None) -> int:
    """`python -m duplex.clients.replay user.wav --out NAME`."""
    parser = argparse.ArgumentParser(prog="python -m duplex.clients.replay", description=replay.__doc__)
    parser.add_argument("wav", type=Path, help="the user: any rate, any number of channels")
    parser.add_argument("--out", type=Path, required=True, help="the recording, without suffix")
    parser.add_argument("--url", default="ws://127.0.0.1:8998")
    parser.add_argument("--wire", choices=WIRES, default="chat")
    parser.add_argument("--agent", default="", help="default: the server's first")
    parser.add_argument("--tail-s", type=float, default=5.0, help="seconds of silence after the user")
    parser.add_argument("--fast", action="store_true", help="as fast as the server takes it")
    parser.add_argument("--checkpoint", help="whose Mimi to use on the wire tokens")
    parser.add_argument("--key")
    args = parser.parse_args(argv)
    try:
        asyncio.run(_main(args))
    except (OSError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}.wav {args.out}.jsonl")
    return 0


async def _main(args: argparse.Namespace) -> None:
    codec = None
    if args.checkpoint:
        from duplex.checkpoint import locate

        codec = open_codec(await asyncio.to_thread(locate, args.checkpoint))
    talk = {"wire": args.wire, "agent": args.agent, "realtime": not args.fast, "tail_s": args.tail_s, "key": args.key}
    await replay(args.url, load_wav(args.wav), args.out, codec=codec, **talk)


if __name__ == "__main__":
    raise SystemExit(main())
