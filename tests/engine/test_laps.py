"""Laps of a step, on a clock that is told."""

from duplex.engine.laps import Laps


def test_each_stage_has_the_time_since_the_mark_before() -> None:
    clock = iter([1.0, 1.5, 1.75, 9.0, 9.25])
    laps = Laps(lambda: next(clock), lambda begin, end: (end - begin) * 1000)
    laps.begin()
    laps.end("encode")
    laps.end("decode")
    assert laps.ms() == {"encode": 500, "decode": 250}
    laps.begin()
    laps.end("decode")
    assert laps.ms() == {"decode": 250}  # of the last step alone


def test_marks_are_read_only_when_they_are_asked_for() -> None:
    read: list[tuple[str, str]] = []
    marks = iter("abc")

    def between_ms(begin: str, end: str) -> float:
        read.append((begin, end))
        return 1.0

    laps = Laps(lambda: next(marks), between_ms)
    laps.begin()
    laps.end("one")
    laps.end("two")
    assert read == [] and list(laps.ms()) == ["one", "two"] and read == [("a", "b"), ("b", "c")]


def test_before_any_step_there_is_nothing() -> None:
    assert Laps(lambda: 0.0, lambda begin, end: end - begin).ms() == {}
