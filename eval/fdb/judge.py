"""One recording of a Full-Duplex-Bench sample as FDB's scorer judges it, by its task, defects included.

The definitions are in eval/metrics/fdb.py. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duplex.recording import Recording
from eval.fdb.ears import SILERO_HZ, Ears
from eval.fdb.outputs import output, resampled
from eval.fdb.samples import Sample
from eval.metrics import fdb
from eval.metrics.fdb import Segment
from eval.scenario import facts_of


def judge(recording: Recording, sample: Sample, ears: Ears) -> dict[str, Any]:
    """{tor, latency_s}, {tor, freq_per_s, jsd} or, of v1.5, its two lists. Raises BadSample where words are missing."""
    if sample.task.startswith("v1.5"):
        return _intervals(recording, ears)
    words = ears.words(recording, sample)
    if sample.task == "v1 backchannel":
        segments = ears.segments(output(recording, sample))  # at any rate: fdb.DEFECTS["rate"]
        found = fdb.backchannels(segments, words, sample.frames / sample.rate_hz, sample.human)
        return {"tor": float(found.takeover), "freq_per_s": found.per_s, "jsd": found.jsd}
    if sample.task == "v1 user_interruption":
        words = fdb.after(words, sample.from_s)
        return {"tor": float(fdb.takeover(words)), "latency_s": fdb.interruption_latency_s(words, sample.from_s)}
    if sample.task == "v1 smooth_turn_taking":
        return {"tor": float(fdb.takeover(words)), "latency_s": fdb.turn_latency_s(words, sample.from_s)}
    return {"tor": float(fdb.takeover(words))}


def _intervals(recording: Recording, ears: Ears) -> dict[str, Any]:
    """Under the names of latency_intervals.json."""
    n = facts_of(recording.meta).samples
    user, model = (ears.segments(resampled(side[:n], SILERO_HZ)) for side in (recording.user, recording.agent))
    stops, responses = fdb.stop_intervals(user, model), fdb.response_intervals(user, model)
    return {"latency_stop_list": _pairs(stops), "latency_resp_list": _pairs(responses)}


def _pairs(segments: Sequence[Segment]) -> list[list[float]]:
    return [[round(edge, 4) for edge in segment] for segment in segments]
