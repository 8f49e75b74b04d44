"""Access records: what they hold, and how many there are."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from harness.waiting import soon
from prequal.api import access_record, app
from prequal.api.access_record import ERRORS_A_SECOND, SUCCESSES_A_SECOND, AccessLog
from prequal.api.protocol import Protocol
from prequal.service import http_connections
from tests.support.edge import a_request as sent
from tests.support.edge import an_edge, answers, echo
from tests.support.without_stores import unopened_submissions

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
            "correlation_id": "r-1",
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


NO_REQUEST = {
    400: b"GET / HTTP/9\r\n\r\n",
    408: b"GET /",
    414: sent(f"GET /{'a' * 3000}"),
    431: sent("GET /a", [b"X: " + b"x" * 17_000]),
}


@pytest.mark.parametrize("status", NO_REQUEST)
async def test_message_refused_before_it_is_a_request_is_recorded_under_the_id_of_its_answer(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connections, "HEAD_SECONDS", 0.1)
    with capture_logs() as lines:
        async with an_edge(app.build(echo, echo, echo, {}, unopened_submissions()), Protocol) as port:
            [(answered, body)] = await answers(port, NO_REQUEST[status])

    recorded = [line for line in lines if line["event"] == "request"]
    assert (answered, len(recorded)) == (status, 1)
    assert recorded[0] == {
        "event": "request",
        "log_level": "info",
        "request_id": json.loads(body)["request_id"],
        "correlation_id": json.loads(body)["request_id"],
        "caller": "127.0.0.1",
        "client": None,
        "method": "other",
        "route": "other",
        "status": status,
        "ms": None,
        "application_id": None,
    }


async def test_request_on_a_connection_too_many_is_recorded_under_the_id_of_its_answer() -> None:
    begun, may_end = [], asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope)
        await may_end.wait()
        await echo(scope, receive, send)

    with capture_logs() as lines:
        api = app.build(echo, slow, echo, {}, unopened_submissions())
        async with an_edge(api, Protocol, http_connections_max=16) as port:
            read = sent(f"GET /applications/{APPLICATION_ID}/status")
            busy = [asyncio.create_task(answers(port, read)) for _ in range(16)]
            try:
                await soon(lambda: len(begun) == 16)

                [(status, body)] = await answers(port, sent("GET /a"))
            finally:
                may_end.set()
                await asyncio.gather(*busy)

    recorded = [line for line in lines if line["event"] == "request" and line["status"] == 503]
    assert status == 503
    assert [(line["request_id"], line["route"]) for line in recorded] == [(json.loads(body)["request_id"], "other")]


@pytest.mark.usefixtures("short_window")
async def test_records_of_unread_requests_are_within_the_bound_of_their_status() -> None:
    envelope = app.build(echo, echo, echo, {}, unopened_submissions())
    with capture_logs() as lines:
        for number in range(ERRORS_A_SECOND + 3):
            envelope.refused_unread(400, f"r-{number}", None)
        await asyncio.sleep(access_record.WINDOW_SECONDS * 2)

    assert [line["event"] for line in lines].count("request") == ERRORS_A_SECOND
    assert lines[-1]["statuses"] == {"400": 3}
