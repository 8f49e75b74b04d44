"""`telemetry.repeats`: a storm of one warning is a few lines and a number."""

import logging
from collections.abc import Callable

from prequal.telemetry.repeats import A_SECOND, WINDOW_SECONDS, RepeatedWarnings


class Log:
    """What passes the filter, by a clock and a timer of the test's own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.written: list[tuple[str, str, int | None]] = []
        self.has_threads = True
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._repeats = RepeatedWarnings(self._write, later=self._later, clock=lambda: self.now)

    def say(self, event: str, times: int = 1, level: int = logging.WARNING) -> None:
        for _ in range(times):
            record = logging.LogRecord("prequal", level, "", 0, event, None, None)
            if self._repeats.filter(record):
                self._write(record)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due, self._due = self._due, []
        for at, call in due:
            if at <= self.now:
                call()
            else:
                self._due.append((at, call))

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        if not self.has_threads:
            raise RuntimeError("can't start new thread")
        self._due.append((self.now + seconds, call))

    def _write(self, record: logging.LogRecord) -> None:
        self.written.append((str(record.msg), record.__dict__.get("repeated_event", ""), record.__dict__.get("count")))


def test_first_of_a_second_are_lines_and_the_rest_is_a_number() -> None:
    log = Log()

    log.say("retrying", A_SECOND + 37)
    log.wait(WINDOW_SECONDS)

    assert log.written == [("retrying", "", None)] * A_SECOND + [("repeated", "retrying", 37)]


def test_kinds_do_not_take_one_anothers_place() -> None:
    log = Log()

    log.say("retrying", A_SECOND + 1)
    log.say("write_failed", A_SECOND + 2, logging.ERROR)
    log.say("dependency_changed")
    log.wait(WINDOW_SECONDS)

    assert log.written[-3:] == [
        ("dependency_changed", "", None),
        ("repeated", "retrying", 1),
        ("repeated", "write_failed", 2),
    ]


def test_next_second_begins_afresh_with_and_without_a_sum() -> None:
    log = Log()

    for _ in range(3):
        log.say("retrying", A_SECOND)
        log.wait(WINDOW_SECONDS)
    log.say("retrying", A_SECOND + 1)
    log.wait(WINDOW_SECONDS)
    log.say("retrying")

    assert log.written == [("retrying", "", None)] * 4 * A_SECOND + [
        ("repeated", "retrying", 1),
        ("retrying", "", None),
    ]


def test_sum_comes_at_the_end_of_the_second_in_which_the_first_was_said() -> None:
    log = Log()

    log.say("retrying", A_SECOND)
    log.wait(WINDOW_SECONDS * 0.75)
    log.say("retrying")
    log.wait(WINDOW_SECONDS * 0.25)

    assert log.written[-1] == ("repeated", "retrying", 1)


def test_informational_and_critical_records_are_all_written() -> None:
    log = Log()

    log.say("request", 100, logging.INFO)
    log.say("partition_paused", 100, logging.CRITICAL)

    assert len(log.written) == 200


def test_without_a_thread_for_the_sum_nothing_is_raised_and_the_sum_comes_by_a_later_line() -> None:
    log = Log()
    log.has_threads = False

    log.say("retrying", A_SECOND + 3)
    log.wait(WINDOW_SECONDS)
    log.say("write_failed")

    assert log.written == [("retrying", "", None)] * A_SECOND + [
        ("repeated", "retrying", 3),
        ("write_failed", "", None),
    ]


def test_thread_that_can_be_had_again_within_the_second_brings_the_sum() -> None:
    log = Log()
    log.has_threads = False

    log.say("retrying", A_SECOND + 3)
    log.has_threads = True
    log.say("retrying")
    log.wait(WINDOW_SECONDS)

    assert log.written == [("retrying", "", None)] * A_SECOND + [("repeated", "retrying", 4)]
