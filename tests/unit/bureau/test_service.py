"""`bureau.service`: the simulated bureau's port is bounded as every other."""

import asyncio

from harness.ports import free_port
from harness.waiting import soon
from prequal.bureau.service import Http, serve
from prequal.bureau.simulator import BODY_BYTES_MAX, app
from prequal.service.http_protocol import HEAD_BYTES_MAX, TARGET_BYTES_MAX
from tests.support.edge import a_request, answers, hung_up, takes_connections


async def test_heads_targets_and_bodies_that_no_inquiry_has_are_refused() -> None:
    port, stop = free_port(), asyncio.Event()
    serving = asyncio.create_task(serve(Http("127.0.0.1", port), stop))
    await soon(lambda: takes_connections(port))

    requests = (
        a_request("POST /reports", [b"X-Long: " + b"x" * HEAD_BYTES_MAX]),
        a_request(f"GET /{'a' * TARGET_BYTES_MAX}"),
        a_request("POST /reports", body=b" " * (BODY_BYTES_MAX + 1)),
        a_request("POST /reports", [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"], b"{}"),
    )
    statuses = [(await answers(port, request))[0][0] for request in requests]

    stop.set()
    await serving
    assert statuses == [431, 414, 413, 422]


async def test_client_that_hangs_up_in_its_body_is_sent_nothing() -> None:
    assert await hung_up(app(), "/reports", "application/json") == []
