"""Memory and step time of a Moshi of full size (7B, random weights) with many seats: `python -m eval.fullsize`.

Says nothing about behaviour: the weights are random.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from duplex.engine.model import Heard, Model, Place
from duplex.frame import FRAME_MS, FRAME_SAMPLES
from duplex.session import Sampling


def measure(model: Model, steps: int, warm_up: int, codes: bool) -> dict[str, float]:
    """Step times in ms of a full batch that speaks PCM, or codes."""
    rows = model.rows
    for row in range(rows):
        model.seat(row, Sampling(text_seed=row, audio_seed=row))
    everyone, nobody = np.ones(rows, bool), np.zeros(rows, bool)
    rng = np.random.default_rng(0)
    times_ms = []
    for step in range(warm_up + steps):
        pcm = (rng.normal(size=(rows, FRAME_SAMPLES)) * 0.05).astype(np.float32)
        heard = rng.integers(0, model.cardinality, (rows, model.codebooks))
        began = time.perf_counter()
        model.step(Heard(everyone, everyone if step == 0 else nobody, nobody if codes else everyone, pcm, heard))
        times_ms.append((time.perf_counter() - began) * 1000)
    p50, p99 = np.percentile(times_ms[warm_up:], [50, 99])
    return {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "missed": sum(t > FRAME_MS for t in times_ms[warm_up:])}


def main() -> None:
    """One JSON line for each number of seats and medium."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seats", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=20, help="steps before the clock counts: compilation, graphs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    args = parser.parse_args()
    for seats in args.seats:
        model = Model.random(seats, Place.named(args.device, args.dtype))
        for codes in (False, True):
            line = {
                "seats": seats,
                "medium": "codes" if codes else "pcm",
                **measure(model, args.steps, args.warm_up, codes),
            }
            print(json.dumps(line | {"steps": args.steps, "memory_gb": round(model.memory_gb(), 2)}), flush=True)
        del model


if __name__ == "__main__":
    main()
