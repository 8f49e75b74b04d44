import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import structlog
from hypothesis import HealthCheck, given, settings

from harness.waiting import eventually
from prequal.telemetry import logs
from prequal.telemetry.logs import RateLimitFilter
from prequal.telemetry.repeats import A_SECOND
from tests.support.pans import NUMBERS, TEXTS, shown

PAN = "ABCDE1234F"


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard output of a process that logs as `credit-service`; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    logs.configure("credit-service", "INFO")
    yield out
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def fail() -> None:
    raise ValueError(f"cannot take {PAN}")


def log_an_exception() -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("somebody").exception("it failed for %s", PAN)


def log_our_exception() -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("failed", pan=PAN)


def log_a_request_of_uvicorn() -> None:
    logging.getLogger("uvicorn.error").warning("GET /applications/%s", PAN)


WAYS_OF_LOGGING: dict[str, Callable[[], object]] = {
    "event": lambda: structlog.get_logger().info(f"took {PAN}"),
    "field": lambda: structlog.get_logger().info("took", pan=PAN),
    "name of a field": lambda: structlog.get_logger().info("took", **{PAN: 1}),
    "nested": lambda: structlog.get_logger().info("took", body={"pan": [PAN, PAN.encode()]}),
    "nested name": lambda: structlog.get_logger().info("took", body={"pans": {PAN: 1}}),
    "object": lambda: structlog.get_logger().info("took", error=ValueError(PAN)),
    "our exception": log_our_exception,
    "somebody's message": lambda: logging.getLogger("somebody").warning("took %s", PAN),
    "somebody's extra": lambda: logging.getLogger("somebody").warning("took", extra={"pan": PAN}),
    "somebody's exception": log_an_exception,
    "librdkafka": lambda: logging.getLogger("librdkafka").error("FAIL [thrd:%s]: gone", PAN),
    "uvicorn": log_a_request_of_uvicorn,
    "beside letters": lambda: structlog.get_logger().info(f"x{PAN}y"),
    "behind a line break": lambda: structlog.get_logger().info(f"\n{PAN}\t{PAN}"),
}


@pytest.mark.parametrize("way", WAYS_OF_LOGGING)
def test_no_way_of_logging_shows_a_pan(stdout: io.StringIO, way: str) -> None:
    WAYS_OF_LOGGING[way]()

    assert len(lines(stdout)) == 1
    assert "ABCDE" not in stdout.getvalue()
    assert "XXXXX1234F" in stdout.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TEXTS.filter(lambda text: text.isascii() and text.isprintable()), number=NUMBERS)
def test_no_pan_in_any_context_is_logged(stdout: io.StringIO, before: str, number: str) -> None:
    structlog.get_logger().info(before + number)

    assert shown(stdout.getvalue()) == []


@pytest.mark.parametrize("text", ["\nABCD1234F", "\tABCD1234F", "\u20ae" + "BCDE1234F", "\x1fABCD1234F"])
def test_redacting_never_breaks_a_line(stdout: io.StringIO, text: str) -> None:
    structlog.get_logger().info(text)

    assert len(lines(stdout)) == 1


def test_a_line_has_what_a_reader_needs(stdout: io.StringIO) -> None:
    structlog.get_logger().warning("retrying", target="PostgreSQL", seconds=1)

    (line,) = lines(stdout)
    stamp = line.pop("timestamp")
    assert stamp.endswith("Z")
    assert line == {
        "level": "warning",
        "service": "credit-service",
        "event": "retrying",
        "target": "PostgreSQL",
        "seconds": 1,
    }


def test_somebodys_line_has_the_same_shape(stdout: io.StringIO) -> None:
    logging.getLogger("somebody").warning("watch out")

    (line,) = lines(stdout)
    assert (line["level"], line["service"], line["event"]) == ("warning", "credit-service", "watch out")
    assert line["timestamp"].endswith("Z")


def test_a_line_carries_its_requests_id(stdout: io.StringIO) -> None:
    token = logs.correlation_id.set("request-1")
    structlog.get_logger().info("took")
    logs.correlation_id.reset(token)
    structlog.get_logger().info("idle")

    taken, idle = lines(stdout)
    assert taken["correlation_id"] == "request-1"
    assert "correlation_id" not in idle


def test_a_correlation_id_of_the_lines_own_wins(stdout: io.StringIO) -> None:
    token = logs.correlation_id.set("request-1")
    structlog.get_logger().info("took", correlation_id="request-2")
    logs.correlation_id.reset(token)

    assert lines(stdout)[0]["correlation_id"] == "request-2"


def test_ids_stay_whole(stdout: io.StringIO) -> None:
    uuid, trace = f"abcde1234f00{uuid4().hex[:4]}", "4bf92abcde1234fda6a3ce929d0e0e47"
    id_ = f"0000abcd-e123-4f00-8000-00abcde1234{uuid4().hex[0]}"

    structlog.get_logger().info("took", id=id_, short=uuid, trace=trace)

    (line,) = lines(stdout)
    assert (line["id"], line["short"], line["trace"]) == (id_, uuid, trace)


def test_lines_below_the_level_are_left_out(stdout: io.StringIO) -> None:
    structlog.get_logger().debug("whisper")
    logging.getLogger("somebody").info("said")
    logging.getLogger("httpx").info("chatter")

    assert [line["event"] for line in lines(stdout)] == ["said"]


def test_plain_fields_stay_what_they_are(stdout: io.StringIO) -> None:
    structlog.get_logger().info("took", counts=(1, 2), by={"HOME": 1.5}, late=False, name=None)

    (line,) = lines(stdout)
    assert (line["counts"], line["by"], line["late"], line["name"]) == ([1, 2], {"HOME": 1.5}, False, None)


def test_an_exception_is_one_line(stdout: io.StringIO) -> None:
    log_our_exception()

    (line,) = lines(stdout)
    assert "Traceback" in line["exception"]


def test_where_an_error_came_from_tells_nothing_of_what_it_was_about() -> None:
    with pytest.raises(ValueError, match="cannot take") as caught:
        fail()

    place = logs.where(caught.value)

    assert place.startswith("ValueError at test_logs.py:")
    assert place.endswith(" in fail")
    assert "1234" not in place


def test_an_error_that_was_never_raised_is_its_kind() -> None:
    assert logs.where(KeyError(PAN)) == "KeyError"


def test_librdkafka_logs_each_kind_once_in_ten_seconds_with_a_count() -> None:
    now = [100.0]
    sparing = RateLimitFilter(lambda: now[0])

    def passed(kind: str) -> str | None:
        record = logging.LogRecord("librdkafka", logging.ERROR, "", 0, "%s [%s] 100%% refused", (kind, "client"), None)
        return record.getMessage() if sparing.filter(record) else None

    first = [passed("FAIL"), passed("FAIL"), passed("ERROR"), passed("FAIL")]
    now[0] += 10

    assert first == ["FAIL [client] 100% refused", None, "ERROR [client] 100% refused", None]
    assert [passed("FAIL"), passed("ERROR")] == [
        "FAIL [client] 100% refused (and 2 more FAIL since)",
        "ERROR [client] 100% refused",
    ]


def test_storm_in_a_process_is_a_few_lines_of_its_log(stdout: io.StringIO) -> None:
    for number in range(1000):
        structlog.get_logger().warning("retrying", target="PostgreSQL", number=number)

    def counted() -> int:
        return sum(line["count"] if line["event"] == "repeated" else 1 for line in lines(stdout))

    eventually(lambda: counted() == 1000)
    sums = [line for line in lines(stdout) if line["event"] == "repeated"]
    written = [line for line in lines(stdout) if line["event"] == "retrying"]
    assert len(written) <= A_SECOND * (len(sums) + 1)  # one window on a machine that logs a thousand lines in a second
    assert {(line["level"], line["repeated_event"], line["service"]) for line in sums} == {
        ("warning", "retrying", "credit-service")
    }
    assert all("timestamp" in line for line in sums)
