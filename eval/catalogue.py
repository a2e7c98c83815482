"""Every metric by the name that comparison.json has for it: unit, which way is better, version, what sums it up.

Definitions are in eval/metrics; a version rises when the same recording would give another number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval.metrics import eva, interruption, speech, takeover
from eval.statistics import Direction, Statistic, mean, median


@dataclass(frozen=True, slots=True)
class Metric:
    unit: str
    direction: Direction
    version: int
    statistic: Statistic
    title: str  # for people


METRICS: Mapping[str, Metric] = {
    "response_latency_ms": Metric("ms", "down", 1, median, "Response latency"),
    "response_rate": Metric("share of turns", "up", 1, mean, "Answered"),
    "ttfat_ms": Metric("ms", "down", 1, median, "Time to first audio token"),  # `measure.first_audio_ms`
    "ttf_decision_ms": Metric("ms", "down", 1, median, "Time to first text token"),
    "answer_accuracy": Metric("share of turns with a known answer", "up", 1, mean, "Right answers"),
    "stop_latency_ms": Metric("ms", "down", interruption.VERSION, median, "Stops when interrupted after"),
    "yield_rate": Metric("share of interruptions", "up", interruption.VERSION, mean, "Stops within 2 s"),
    "post_interrupt_latency_ms": Metric("ms", "down", 2, median, "Answers the interruption after"),
    "false_stop_rate": Metric(
        "share of events", "down", interruption.VERSION, mean, "Stops for what is not meant for it"
    ),
    "resume_rate": Metric("share of false stops", "up", interruption.VERSION, mean, "and goes on within 2 s"),
    "false_answer_rate": Metric("share of events", "down", 1, mean, "Answers what is not meant for it"),
    "premature_takeover_rate": Metric(
        "share of turns with a pause", "down", takeover.VERSION, mean, "Takes a pause for the end"
    ),
    "pause_onset_rate": Metric(
        "share of turns with a pause", "none", takeover.VERSION, mean, "Says anything in a pause"
    ),
    "agent_interruption_rate": Metric(
        "events per user turn", "down", takeover.VERSION, mean, "Talks into the user's speech"
    ),
    "unprompted_speech_rate": Metric("events per minute of quiet", "down", takeover.VERSION, mean, "Speaks unprompted"),
    "backchannels_per_min": Metric("per minute of the user's speech", "none", takeover.VERSION, mean, "Backchannels"),
    "backchannel_timing_ms": Metric("ms", "none", takeover.VERSION, median, "Backchannel after the user's last sound"),
    "overlap_s_per_min": Metric("s/min", "none", 1, mean, "Both speak"),
    "eva_turn_score": Metric("0 to 1", "up", eva.VERSION, mean, "EVA's turn score"),
    "agent_wer": Metric("errors per word of its text", "down", speech.VERSION, mean, "Speech against its own text"),
    "dnsmos_ovrl": Metric("MOS", "up", speech.VERSION, mean, "DNSMOS, overall"),
    "deadline_miss_rate": Metric("share of ticks", "down", 2, mean, "Ticks over 80 ms"),
    "tokens_per_min": Metric("codes and text, both sides", "none", 1, mean, "Tokens a minute"),
}


# As a page shows them.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Answers": ("response_latency_ms", "ttfat_ms", "ttf_decision_ms", "response_rate", "answer_accuracy"),
    "Interrupted": ("stop_latency_ms", "yield_rate", "post_interrupt_latency_ms"),
    "Not meant for it": ("false_stop_rate", "resume_rate", "false_answer_rate", "unprompted_speech_rate"),
    "Whose turn": (
        *(
            "premature_takeover_rate",
            "pause_onset_rate",
            "agent_interruption_rate",
            "backchannels_per_min",
            "backchannel_timing_ms",
        ),
        *("overlap_s_per_min", "eva_turn_score"),
    ),
    "Speech": ("agent_wer", "dnsmos_ovrl"),
    "Machine": ("deadline_miss_rate", "tokens_per_min"),
}
