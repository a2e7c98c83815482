"""The one file that knows moshi: Mimi and the Moshi LM as one `step` over all rows of a batch.

First-frame rule: a session's first step is spent on the model's start token. The user's frame 0 is not heard and the
agent's frame 0 is Mimi's silence; from tick 1 on, frame t is heard and answered at the model's own position t.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.models.lm import LMGen, LMModel, _LMGenState
from moshi.utils.compile import CUDAGraphed, no_compile

from duplex.checkpoint import Checkpoint
from duplex.engine import depth, temporal
from duplex.engine.forcing import FREE
from duplex.engine.laps import Laps
from duplex.engine.mimi import faster
from duplex.engine.sampling import Defaults, SeatSampler
from duplex.engine.text import PAD
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.session import Sampling


class Place(NamedTuple):
    """Where a model runs, and in which precision."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def named(cls, device: str = "auto", dtype: str = "auto") -> Place:
        """device "auto" is CUDA where there is one; dtype "auto" is float32 on a CPU, bfloat16 elsewhere."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto":
            dtype = "float32" if device == "cpu" else "bfloat16"
        return cls(torch.device(device), getattr(torch, dtype))


@dataclass(frozen=True, slots=True)
class Heard:
    """One tick's input for all rows B; rows that are not active hold anything."""

    active: np.ndarray  # bool [B]: advance this row
    first: np.ndarray  # bool [B]: a new session begins in this row
    by_pcm: np.ndarray  # bool [B]: hears and speaks PCM, else codes
    pcm: np.ndarray  # float32 [B, 1920]
    codes: np.ndarray  # int64 [B, K]
    forced: np.ndarray | None = None  # int64 [B], the text token to say, FREE where the row chooses; None: all choose


@dataclass(frozen=True, slots=True)
class Said:
    """One tick's output for all rows B."""

    pcm: np.ndarray  # float32 [B, 1920], zeros in rows that speak codes
    codes: np.ndarray  # int64 [B, K]
    text: np.ndarray  # int64 [B], a text token
    took_ms: Mapping[str, float] = field(default_factory=dict)  # encode, temporal, depth, decode; of the whole batch


class SeatLMGen(LMGen):
    """LMGen whose text and audio tokens are drawn by a SeatSampler, with our own transformers where they fit."""

    def __init__(self, lm: LMModel, sampler: SeatSampler, rows: int, laps: Laps[Any]) -> None:
        super().__init__(
            lm,
            use_sampling=False,
            support_out_of_sync=True,
            on_text_logits_hook=self._keep,
            on_text_hook=self._choose,
        )
        self._sampler, self._laps = sampler, laps
        self._depth = depth.Depth(lm, rows) if depth.fits(lm) else None
        self._temporal = temporal.Temporal(lm) if temporal.fits(lm) else None
        self._logits = torch.empty(0)
        self.forced: torch.Tensor | None = None  # [B], this step's text tokens, FREE where a row draws its own
        self.last_text = torch.empty(0)  # [B], the text token sampled in the last step

    def _init_streaming_state(self, batch_size: int) -> _LMGenState:
        state = super()._init_streaming_state(batch_size)
        if self._temporal is not None:  # on a CPU: there is no graph to make
            state.graphed_main = CUDAGraphed(self._temporal.step, disable=True)
        return state

    def _keep(self, logits: torch.Tensor) -> None:  # [B, 1, 1, card]
        self._logits = logits[:, 0, 0].float()

    def _choose(self, token: torch.Tensor) -> None:  # [B], replaced in place
        drawn = self._sampler.text(self._logits)
        token.copy_(drawn if self.forced is None else torch.where(self.forced == FREE, drawn, self.forced))
        self.last_text = token
        self._laps.end("temporal")

    def depformer_step(self, text_token: torch.Tensor, transformer_out: torch.Tensor) -> torch.Tensor:
        """[B], [B, 1, dim] -> audio tokens [B, dep_q]."""
        if self._depth is None:
            return self._moshi_depth(text_token, transformer_out)
        previous, tokens = text_token, []
        for codebook, given in enumerate(self._depth.inputs(transformer_out)):
            logits = self._depth.logits(codebook, previous, given)
            previous = self._sampler.audio(logits.float(), codebook)
            tokens.append(previous)
        return torch.stack(tokens, dim=1)

    def _moshi_depth(self, text_token: torch.Tensor, transformer_out: torch.Tensor) -> torch.Tensor:
        lm, previous, tokens = self.lm_model, text_token, []
        assert lm.depformer is not None
        with lm.depformer.streaming(len(text_token)):
            for codebook in range(lm.dep_q):
                logits = lm.forward_depformer(codebook, previous[:, None, None], transformer_out)
                previous = self._sampler.audio(logits[:, 0, 0].float(), codebook)
                tokens.append(previous)
        return torch.stack(tokens, dim=1)


class Model:
    """Mimi and Moshi for B rows. Not thread-safe: one thread makes it and steps it."""

    def __init__(
        self,
        mimi: MimiModel,
        lm: LMModel,
        rows: int,
        defaults: Defaults,
        now: Callable[[], float] = time.perf_counter,  # seconds; a GPU times itself
    ) -> None:
        """Both parts on one device. Raises ValueError when they are not a dialogue model at our frame rate."""
        _check(mimi, lm)
        self.rows, self.device = rows, lm.device
        self.codebooks = lm.n_q - lm.dep_q
        self.cardinality = lm.card
        self._mimi = faster(mimi)
        self._sampler = SeatSampler(rows, defaults, max(lm.card, lm.text_card), self.device)
        self._laps = _laps(self.device, now)
        self._gen = SeatLMGen(lm.eval(), self._sampler, rows, self._laps)
        self._age = np.zeros(rows, np.int64)  # ticks stepped since the row's session began
        with torch.no_grad():
            quiet = mimi.encode(torch.zeros(1, 1, FRAME_SAMPLES, device=self.device))
            self._quiet = quiet[0, : self.codebooks, 0]  # [K]
            mimi.streaming_forever(rows)
            self._gen.streaming_forever(rows)

    @classmethod
    def load(cls, checkpoint: Checkpoint, rows: int, place: Place, context: int | None = None) -> Model:
        """The weights of a checkpoint; `context` overrides the attention window in frames."""
        info = _checkpoint_info(checkpoint)
        overrides = {} if context is None else {"context": context}
        lm = info.get_moshi(place.device, dtype=place.dtype, lm_kwargs_overrides=overrides)
        return cls(info.get_mimi(place.device), lm, rows, _defaults(info.lm_gen_config))

    @classmethod
    def random(cls, rows: int, place: Place) -> Model:
        """Random weights of Moshi's full size, to measure memory and speed. What it says means nothing."""
        lm = loaders.get_moshi_lm(None, device=place.device, dtype=place.dtype)
        return cls(loaders.get_mimi(None, device=place.device), lm, rows, Defaults())

    def memory_gb(self) -> float:
        """Peak memory held on the GPU, in 1e9 bytes; 0 on a CPU."""
        return torch.cuda.max_memory_allocated(self.device) / 1e9 if self.device.type == "cuda" else 0.0

    def seat(self, row: int, sampling: Sampling) -> None:
        """Prepare `row` for a new session; its first step must be marked `first`."""
        self._sampler.seat(row, sampling)

    def warm_up(self, ticks: int = 4) -> None:
        """Pay for compilation, CUDA graphs and first calls before anybody listens."""
        all_rows, none = np.ones(self.rows, bool), np.zeros(self.rows, bool)
        pcm = np.zeros((self.rows, FRAME_SAMPLES), np.float32)
        codes = np.zeros((self.rows, self.codebooks), np.int64)
        for tick in range(ticks):
            self.step(Heard(all_rows, all_rows if tick == 0 else none, all_rows, pcm, codes))

    @torch.no_grad()
    def step(self, heard: Heard) -> Said:
        """Advance the active rows by one tick; the others keep their state."""
        with _plainly(self.device):
            self._laps.begin()
            self._begin(heard.first)
            active = self._tensor(heard.active)
            codes = self._encode(heard)
            self._laps.end("encode")
            self._gen.forced = None if heard.forced is None else self._tensor(heard.forced)
            text, spoken = self._generate(codes, active, self._tensor(self._age >= self._gen.max_delay))
            self._laps.end("depth")
            pcm = self._decode(spoken, heard)
            self._laps.end("decode")
            self._age += heard.active
            said = pcm, spoken.cpu().numpy(), text.cpu().numpy()  # waits for a GPU, whose marks can be read then
            return Said(*said, self._laps.ms())

    def _begin(self, first: np.ndarray) -> None:
        if not first.any():
            return
        mask = self._tensor(first)
        self._mimi.reset_streaming(mask)
        self._gen.reset_streaming(mask)
        self._age[first] = 0

    def _encode(self, heard: Heard) -> torch.Tensor:
        """-> codes [B, K], from PCM where a row speaks PCM. Mimi does not run when no row does."""
        given = self._tensor(heard.codes)
        hearing = heard.active & heard.by_pcm
        if not hearing.any():
            return given
        self._mimi.set_exec_mask(self._tensor(hearing))
        encoded = self._mimi.encode(self._tensor(heard.pcm)[:, None])[:, : self.codebooks, 0]
        return torch.where(self._tensor(heard.by_pcm)[:, None], encoded, given)

    def _generate(
        self, codes: torch.Tensor, active: torch.Tensor, ready: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """codes [B, K] -> text [B] and codes [B, K]; rows that are not `ready` [B] have nothing to say yet."""
        self._gen.set_exec_mask(active)
        out = self._gen.step(codes[:, :, None])
        assert out is not None  # support_out_of_sync: unready rows are marked, never withheld
        self._sampler.advance(self._gen.last_text, active)
        ready = ready & active
        text = torch.where(ready, out[:, 0, 0], PAD)
        return text, torch.where(ready[:, None], out[:, 1 : 1 + self.codebooks, 0], self._quiet)

    def _decode(self, codes: torch.Tensor, heard: Heard) -> np.ndarray:
        """codes [B, K] -> PCM [B, 1920]; `_encode` has left Mimi running on the rows that speak PCM."""
        speaking = heard.active & heard.by_pcm
        if not speaking.any():
            return np.zeros((self.rows, FRAME_SAMPLES), np.float32)
        pcm = self._mimi.decode(codes[:, :, None])[:, 0].float().cpu().numpy()
        return np.where(speaking[:, None], pcm, np.float32(0))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


@contextmanager
def _plainly(device: torch.device) -> Iterator[None]:
    """On a CPU without compilation and without what autograd keeps of every tensor: a tenth of a tick."""
    if device.type == "cpu":
        with no_compile(), torch.inference_mode():
            yield
    else:
        yield


def _laps(device: torch.device, now: Callable[[], float]) -> Laps[Any]:
    """The device's own clock where it works on its own, else `now`, in seconds."""
    if device.type == "cuda":
        return Laps(_mark, torch.cuda.Event.elapsed_time)
    return Laps(now, lambda begin, end: (end - begin) * 1000)


def _mark() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def use_threads(threads: int) -> None:
    """Bound torch's CPU threads, for the whole process."""
    torch.set_num_threads(threads)


def _checkpoint_info(checkpoint: Checkpoint) -> loaders.CheckpointInfo:
    files = checkpoint.files
    if "config" not in files:  # the first published checkpoints had none: they are Moshi 7B
        return loaders.CheckpointInfo(files["lm"], files["mimi"], files["tokenizer"])
    return loaders.CheckpointInfo.from_hf_repo(
        checkpoint.name,
        moshi_weights=files["lm"],
        mimi_weights=files["mimi"],
        tokenizer=files["tokenizer"],
        config_path=files["config"],
        mimi_config_path=files.get("mimi_config"),
        lora_weights=files.get("lora"),
    )


def _defaults(gen_config: dict[str, Any]) -> Defaults:
    ours = {"temp_text": "text_temperature", "top_k_text": "text_top_k", "temp": "audio_temperature"}
    ours["top_k"] = "audio_top_k"
    return Defaults(**{ours[key]: value for key, value in gen_config.items() if key in ours})


def _check(mimi: MimiModel, lm: LMModel) -> None:
    """Raises ValueError for a checkpoint that loads but is not a Moshi dialogue model at our frame rate."""
    if mimi.sample_rate != SAMPLE_RATE or mimi.frame_size != FRAME_SAMPLES:
        raise ValueError(f"Mimi runs at {mimi.sample_rate} Hz, {mimi.frame_size} samples a frame; we need 24000, 1920")
    if lm.dep_q == 0 or lm.n_q != 2 * lm.dep_q:
        raise ValueError(f"n_q {lm.n_q}, dep_q {lm.dep_q}: a dialogue model predicts half of its audio streams")
    if mimi.cardinality != lm.card:
        raise ValueError(f"Mimi has {mimi.cardinality} entries a codebook, the LM {lm.card}")
