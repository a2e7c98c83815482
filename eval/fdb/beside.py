"""Full-Duplex-Bench's numbers and the strict ones side by side for the terminal, with what is wrong with the former."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

HEAD = ("task", "FDB's", "n", "value", "strict", "n", "missing", "value")
NOTE = (
    "FDB's: Full-Duplex-Bench's own definitions (v1 and v1.5), defects included, means over clips or, of v1.5, over "
    "intervals. Strict: what eval/metrics says of the same recordings, latencies as medians."
)


class Row(NamedTuple):
    strict: str  # a metric of eval/catalogue.py that asks the same; "" where none does
    defects: tuple[str, ...]  # of FDB's number, keys of eval.metrics.fdb.DEFECTS


NOTHING = {"n": "-", "missing": "-", "value": None}
DISTURBED = {
    "stop_s": Row("false_stop_rate", ("stop", "intervals")),
    "response_s": Row("false_answer_rate", ("response", "intervals")),
}
ROWS: Mapping[str, Mapping[str, Row]] = {  # task -> number -> what stands beside it
    "v1 pause_handling": {"tor": Row("premature_takeover_rate", ("duration", "greeting"))},
    "v1 smooth_turn_taking": {
        "tor": Row("response_rate", ("duration",)),
        "latency_s": Row("response_latency_ms", ("latency",)),
    },
    "v1 user_interruption": {
        "tor": Row("yield_rate", ("duration", "interruption")),
        "latency_s": Row("post_interrupt_latency_ms", ("latency", "interruption")),
    },
    "v1 backchannel": {
        "tor": Row("agent_interruption_rate", ("backchannel", "rate")),
        "freq_per_s": Row("", ("rate",)),
        "jsd": Row("", ("jsd", "rate")),
    },
    "v1.5 user_interruption": {
        "stop_s": Row("stop_latency_ms", ("stop", "intervals")),
        "response_s": Row("post_interrupt_latency_ms", ("response", "intervals")),
    },
    "v1.5 user_backchannel": DISTURBED,
    "v1.5 talking_to_other": DISTURBED,
    "v1.5 background_speech": DISTURBED,
}


def rows(added: Mapping[str, Any]) -> Iterator[list[str]]:
    """Cells in the order of HEAD, of what `add_fdb` returns; numbers in brackets are footnotes."""
    marks = _marks(added)
    for task, summary in added["tasks"].items():
        for name, row in ROWS[task].items():
            theirs, ours = summary[name], summary["strict"].get(row.strict, NOTHING)
            marked = f"{name} ({', '.join(str(marks[defect]) for defect in row.defects)})"
            strict = [row.strict or "-", str(ours["n"]), str(ours["missing"]), _cell(ours["value"])]
            yield [task, marked, str(theirs["n"]), _cell(theirs["value"]), *strict]


def footnotes(added: Mapping[str, Any]) -> Iterator[str]:
    """Where the words are from, and what is known to be wrong with the numbers in the table."""
    yield f"Words: {added['words']}; FDB's numbers move with the transcriber (its own is parakeet-tdt-0.6b-v2)."
    for defect, mark in _marks(added).items():
        yield f"({mark}) {added['defects'][defect]}"


def _marks(added: Mapping[str, Any]) -> dict[str, int]:
    """Defect -> its footnote, in the order of the table."""
    shown = dict.fromkeys(d for task in added["tasks"] for row in ROWS[task].values() for d in row.defects)
    return {defect: i for i, defect in enumerate(shown, 1)}


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
