"""What callers see when something behind the API fails, and that they never wait for long."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from harness.applications import a_pan, an_application, an_idempotency_key
from harness.database import Database
from harness.ports import free_port
from harness.tcp_proxy import TcpProxy, a_proxy, port_of
from harness.waiting import Stopwatch, soon
from prequal.api import posts
from prequal.local.kafka import Kafka
from prequal.security.pan_encryption import PanHasher
from tests.support.api import api_within, assert_error, assert_unavailable, ready
from tests.support.submissions import HASHER

UNAVAILABLE_WITHIN_SECONDS = 4.5


def a_status_path() -> str:
    return f"/applications/{uuid4()}/status"


# ── 408 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def stall(port: int, *parts: bytes) -> bytes:
    """Send a request's parts and nothing more; all that is answered until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()


HEAD = b"POST /applications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: slow\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([HEAD + b"Content-Length: 100\r\n\r\n"], id="no body at all"),
        pytest.param([HEAD + b"Content-Length: 100\r\n\r\n", b'{"pan_number": '], id="half a body"),
        pytest.param([HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n{    \r\n"], id="half a chunked body"),
    ],
)
async def test_body_that_does_not_come_in_time_is_408_and_the_connection_ends(
    database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch, parts: list[bytes]
) -> None:
    monkeypatch.setattr(posts, "BODY_SECONDS", 0.2)
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        answer = await stall(client.base_url.port or 0, *parts)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b'"error_code": "REQUEST_TIMEOUT"' in body
    assert b"x-request-id: slow" in head.lower()


async def test_declared_size_is_refused_before_any_of_it_comes(database: Database, kafka: Kafka) -> None:
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port or 0)
        writer.write(HEAD + b"Content-Length: 16385\r\n\r\n")

        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)

        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_client_that_hangs_up_leaves_no_row(database: Database, kafka: Kafka) -> None:
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        gone = socket.create_connection(("127.0.0.1", client.base_url.port or 0))
        gone.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        gone.close()

        accepted = await client.post("/applications", json=an_application())

    assert accepted.status_code == 202
    assert database.count("applications") == 1


async def test_client_that_hangs_up_after_sending_all_may_still_be_accepted(database: Database, kafka: Kafka) -> None:
    content = json.dumps(an_application()).encode()
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        gone = socket.create_connection(("127.0.0.1", client.base_url.port or 0))
        gone.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        gone.close()

        await soon(lambda: database.count("applications") == 1)

    assert database.count("outbox_events") == 1


# ── 503 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_database_that_was_never_there_is_503_at_once(kafka: Kafka) -> None:
    nowhere = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/prequal"
    async with api_within(nowhere, kafka.bootstrap_servers) as client:
        watch = Stopwatch()

        posted = await client.post("/applications", json=an_application())
        read = await client.get(path := a_status_path())

        assert watch.seconds < UNAVAILABLE_WITHIN_SECONDS
    assert_unavailable(posted)
    assert_unavailable(read, path)


async def test_invalid_application_is_refused_as_such_without_a_database(kafka: Kafka) -> None:
    nowhere = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/prequal"
    async with api_within(nowhere, kafka.bootstrap_servers) as client:
        response = await client.post("/applications", json=an_application(loan_type="GOLD"))

    assert_error(response, 422, "INVALID_LOAN_TYPE")


async def test_without_a_database_the_api_is_healthy_and_not_ready(kafka: Kafka) -> None:
    nowhere = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/prequal"
    async with api_within(nowhere, kafka.bootstrap_servers) as client:

        async def kafka_was_asked() -> bool:
            return bool((await client.get("/ready")).json()["kafka"] == "connected")

        await soon(kafka_was_asked)
        health, answer = await client.get("/health"), await client.get("/ready")

    assert health.status_code == 200
    assert answer.status_code == 503
    assert answer.json()["database"] == "disconnected"


@asynccontextmanager
async def api_behind_a_proxy(database: Database, kafka: Kafka) -> AsyncIterator[tuple[httpx.AsyncClient, TcpProxy]]:
    with a_proxy(port_of(database.url)) as proxy:
        async with api_within(proxy.url(database.url), kafka.bootstrap_servers) as client:
            await ready(client)
            try:
                yield client, proxy
            finally:
                proxy.restore()


async def answers(client: httpx.AsyncClient, database: str) -> Any:
    async def says() -> bool:
        return bool((await client.get("/ready")).json()["database"] == database)

    return says


@pytest.mark.parametrize("fault", ["cut", "freeze"])
async def test_database_away_is_503_within_the_bound_and_heals_by_itself(
    database: Database, kafka: Kafka, fault: str
) -> None:
    async with api_behind_a_proxy(database, kafka) as (client, proxy):
        first = (await client.post("/applications", json=an_application())).json()
        getattr(proxy, fault)()

        posts = [
            client.post("/applications", json=an_application(), headers={"Idempotency-Key": an_idempotency_key()})
            for _ in range(5)
        ]
        with structlog.testing.capture_logs() as lines:
            *posted, read = await asyncio.gather(
                *posts, client.get(path := f"/applications/{first['application_id']}/status")
            )

        # By the access record, of each alone: this process's client may be slow to send them on a busy machine.
        seconds = [line["ms"] / 1000 for line in lines if line["event"] == "request" and line["route"] != "/ready"]
        assert len(seconds) == 6
        assert max(seconds) < UNAVAILABLE_WITHIN_SECONDS
        for response in posted:
            assert_unavailable(response)
        assert_unavailable(read, path)
        await soon(await answers(client, "disconnected"))
        proxy.restore()
        await soon(await answers(client, "connected"))
        assert (await client.post("/applications", json=an_application())).status_code == 202
        assert (await client.get(path)).status_code == 200


async def test_503_posted_again_with_its_key_makes_one_application(database: Database, kafka: Kafka) -> None:
    application, headers = an_application(), {"Idempotency-Key": an_idempotency_key()}
    async with api_behind_a_proxy(database, kafka) as (client, proxy):
        proxy.cut()
        assert_unavailable(await client.post("/applications", json=application, headers=headers))
        proxy.restore()

        async def accepted() -> bool:
            return (await client.post("/applications", json=application, headers=headers)).status_code == 202

        await soon(accepted)

    assert database.count("applications") == 1


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "a-key-of-its-own"}], ids=["without a key", "with a key"])
async def test_pan_claimed_by_an_unfinished_neighbour_is_503_and_never_a_duplicate(
    database: Database, kafka: Kafka, key: dict[str, str]
) -> None:
    pan = a_pan()
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        with database.connect() as neighbour:
            from prequal.domain.pan import Pan

            neighbour.execute(
                "INSERT INTO pan_claims VALUES (%s, gen_random_uuid(), now() + interval '1 day')",
                [HASHER.hash(Pan(pan))],
            )

            response = await client.post("/applications", json=an_application(pan_number=pan), headers=key)

            neighbour.rollback()
        again = await client.post("/applications", json=an_application(pan_number=pan))

    assert_unavailable(response)
    assert again.status_code == 202


async def test_more_applications_than_may_wait_are_503_at_once(database: Database, kafka: Kafka) -> None:
    async with api_within(database.url, kafka.bootstrap_servers, waiting_max=5, write_batch_max=1) as client:
        await ready(client)
        with database.connect() as neighbour:
            neighbour.execute("LOCK TABLE applications IN ACCESS EXCLUSIVE MODE")

            posts = [client.post("/applications", json=an_application()) for _ in range(30)]
            responses = await asyncio.gather(*posts)

            neighbour.rollback()
        for response in responses:
            assert_unavailable(response)
        assert (await client.post("/applications", json=an_application())).status_code == 202


# ── 500 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_application_that_the_database_refuses_is_500_in_generic_words(database: Database, kafka: Kafka) -> None:
    database.execute("ALTER TABLE applications ADD CONSTRAINT no_autos CHECK (loan_type <> 'AUTO')")
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)

        response = await client.post("/applications", json=an_application(loan_type="AUTO"))

    body = assert_error(response, 500, "DATABASE_ERROR")
    assert body["details"] is None
    assert not [word for word in ("no_autos", "SQL", "constraint", "asyncpg", "Check") if word in response.text]
    assert (database.count("applications"), database.count("pan_claims"), database.count("outbox_events")) == (0, 0, 0)


async def test_refused_application_does_not_disturb_those_it_shares_a_write_with(
    database: Database, kafka: Kafka
) -> None:
    database.execute("ALTER TABLE applications ADD CONSTRAINT no_autos CHECK (loan_type <> 'AUTO')")
    types = ["HOME", "AUTO", "PERSONAL"] * 10
    async with api_within(database.url, kafka.bootstrap_servers, patient=True) as client:
        await ready(client)

        posts = [client.post("/applications", json=an_application(loan_type=loan_type)) for loan_type in types]
        responses = await asyncio.gather(*posts)

    assert [response.status_code for response in responses] == [202, 500, 202] * 10
    assert database.count("applications") == 20


async def test_database_error_does_not_use_the_key_up(database: Database, kafka: Kafka) -> None:
    application, headers = an_application(loan_type="AUTO"), {"Idempotency-Key": an_idempotency_key()}
    database.execute("ALTER TABLE applications ADD CONSTRAINT no_autos CHECK (loan_type <> 'AUTO')")
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        assert (await client.post("/applications", json=application, headers=headers)).status_code == 500
        database.execute("ALTER TABLE applications DROP CONSTRAINT no_autos")

        response = await client.post("/applications", json=application, headers=headers)

    assert response.status_code == 202
    assert "idempotency-replayed" not in response.headers


async def test_bug_is_500_internal_error_without_a_word_of_the_bug(
    database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    pan = a_pan()

    def broken(*_: object) -> str:
        raise RuntimeError(f"a bug that knows {pan}")

    monkeypatch.setattr(PanHasher, "hash", broken)
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)

        response = await client.post("/applications", json=an_application(pan_number=pan))

    body = assert_error(response, 500, "INTERNAL_ERROR")
    assert "bug" not in body["message"]
    assert pan[:5] not in response.text


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_pan_of_a_holder_type_that_is_not_taken_is_422(database: Database, kafka: Kafka) -> None:
    async with api_within(database.url, kafka.bootstrap_servers, pan_holder_types="P,H") as client:
        await ready(client)

        answers = [
            await client.post("/applications", json=an_application(pan_number=f"AAA{kind}A1111A")) for kind in "PHC"
        ]

    assert [answer.status_code for answer in answers] == [202, 202, 422]
    body = assert_error(answers[2], 422, "INVALID_PAN_FORMAT")
    assert body["details"][0]["field"] == "pan_number"


async def test_api_without_kafka_accepts_and_says_degraded(database: Database, kafka: Kafka) -> None:
    with a_proxy(port_of(f"kafka://{kafka.bootstrap_servers}")) as proxy:
        proxy.cut()
        async with api_within(database.url, f"127.0.0.1:{proxy.port}") as client:

            async def degraded() -> bool:
                expected = {
                    "status": "degraded",
                    "database": "connected",
                    "kafka": "disconnected",
                    "breakers": {"database": "closed"},
                }
                return bool((await client.get("/ready")).json() == expected)

            await soon(degraded)
            answer = await client.get("/ready")
            response = await client.post("/applications", json=an_application())

    assert answer.status_code == 200
    assert response.status_code == 202
