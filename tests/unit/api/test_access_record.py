"""Access records: what they hold, and how many there are."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Scope
from structlog.testing import capture_logs

from prequal.api import access_record
from prequal.api.access_record import ERRORS_A_SECOND, SUCCESSES_A_SECOND, AccessLog

APPLICATION_ID = str(uuid4())
LOCATION = [(b"location", f"/applications/{APPLICATION_ID}/status".encode())]


def a_request(path: str = "/applications", method: str = "POST") -> Scope:
    return {
        "type": "http",
        "path": path,
        "method": method,
        "client": ("192.0.2.7", 4711),
        "query_string": b"pan=ABCDE1234F",
        "headers": [(b"authorization", b"secret")],
        "request_id": "r-1",
        "api_client": "k7m2xq9z",
    }


async def test_accepted_request_is_recorded_with_both_ids() -> None:
    with capture_logs() as lines:
        AccessLog().record(a_request(), 202, LOCATION, 0.01234)

    assert lines == [
        {
            "event": "request",
            "log_level": "info",
            "request_id": "r-1",
            "caller": "192.0.2.7",
            "client": "k7m2xq9z",
            "method": "POST",
            "route": "/applications",
            "status": 202,
            "ms": 12.3,
            "application_id": APPLICATION_ID,
        }
    ]


@pytest.mark.parametrize("what", ["status", "decision"])
async def test_read_is_recorded_with_its_route_and_its_application(what: str) -> None:
    with capture_logs() as lines:
        AccessLog().record(a_request(f"/applications/{APPLICATION_ID}/{what}", "GET"), 404, [], 0.001)

    assert (lines[0]["route"], lines[0]["application_id"]) == (
        f"/applications/{{application_id}}/{what}",
        APPLICATION_ID,
    )


@pytest.mark.parametrize("path", ["/applications/ABCDE1234F/status", "/ABCDE1234F", "/applications"])
async def test_no_part_of_a_path_is_recorded_but_an_application_id(path: str) -> None:
    with capture_logs() as lines:
        AccessLog().record(a_request(path), 422, [], 0.001)

    assert lines[0]["application_id"] is None
    assert "ABCDE1234F" not in str(lines)


async def record_many(*statuses: int, times: int) -> list[dict[str, Any]]:
    access_log = AccessLog()
    with capture_logs() as lines:
        for _ in range(times):
            for status in statuses:
                access_log.record(a_request(), status, [], 0.001)
        await asyncio.sleep(access_record.WINDOW_SECONDS * 2)
    return [dict(line) for line in lines]


@pytest.fixture
def short_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_record, "WINDOW_SECONDS", 0.02)


@pytest.mark.usefixtures("short_window")
async def test_successes_are_sampled_and_the_rest_is_summed() -> None:
    lines = await record_many(202, 200, times=SUCCESSES_A_SECOND)

    assert [line["event"] for line in lines].count("request") == SUCCESSES_A_SECOND
    assert lines[-1]["event"] == "requests_not_recorded"
    assert lines[-1]["statuses"] == {"200": SUCCESSES_A_SECOND // 2, "202": SUCCESSES_A_SECOND // 2}


@pytest.mark.usefixtures("short_window")
async def test_each_error_status_has_a_bound_of_its_own() -> None:
    lines = await record_many(422, 503, times=ERRORS_A_SECOND + 3)

    recorded = [line["status"] for line in lines if line["event"] == "request"]
    assert (recorded.count(422), recorded.count(503)) == (ERRORS_A_SECOND, ERRORS_A_SECOND)
    assert lines[-1]["statuses"] == {"422": 3, "503": 3}


@pytest.mark.usefixtures("short_window")
async def test_next_second_is_recorded_again() -> None:
    access_log = AccessLog()
    with capture_logs() as lines:
        for _ in range(2):
            for _ in range(SUCCESSES_A_SECOND):
                access_log.record(a_request(), 202, [], 0.001)
            await asyncio.sleep(access_record.WINDOW_SECONDS * 2)

    assert [line["event"] for line in lines] == ["request"] * 2 * SUCCESSES_A_SECOND


@pytest.mark.parametrize(("path", "status", "lines"), [("/ready", 200, 0), ("/ready", 503, 1), ("/metrics", 200, 0)])
async def test_probes_are_recorded_only_when_they_fail(path: str, status: int, lines: int) -> None:
    with capture_logs() as recorded:
        AccessLog().record(a_request(path, "GET"), status, [], 0.001)

    assert len(recorded) == lines
