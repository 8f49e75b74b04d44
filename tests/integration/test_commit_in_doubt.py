"""The answer to a COMMIT is lost: what was committed is answered 202, what was not is a 503, and never two rows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from harness.applications import an_application, an_idempotency_key
from harness.broker import SUBMITTED, Broker
from harness.database import Database
from harness.tcp_proxy import TcpProxy, a_proxy, port_of
from harness.waiting import Stopwatch, soon
from prequal.local.kafka import Kafka
from tests.support.api import api_within, assert_error, ready


@dataclass(frozen=True)
class BehindAProxy:
    """An API whose way to the database can be cut."""

    client: httpx.AsyncClient
    proxy: TcpProxy
    database: Database

    async def post(self, body: dict[str, object], key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post("/applications", json=body, headers=headers)

    async def accepted(self, body: dict[str, object], key: str) -> httpx.Response:
        """The answer of one who comes again until it is a 202: the first connection may be of the time of the cut."""

        async def answer() -> httpx.Response | None:
            response = await self.post(body, key)
            return response if response.status_code == 202 else None

        response = await soon(answer)
        assert response is not None
        return response


@pytest.fixture
async def api(database: Database, kafka: Kafka) -> AsyncIterator[BehindAProxy]:
    with a_proxy(port_of(database.url)) as proxy:
        address = proxy.url(database.url)
        async with api_within(address, kafka.bootstrap_servers, patient=True, publish_own_events=True) as client:
            await ready(client)
            yield BehindAProxy(client, proxy, database)
            proxy.restore()


def nobody_is_in_a_transaction(database: Database) -> bool:
    return bool(
        database.value(
            """
            SELECT count(*) = 0 FROM pg_stat_activity
            WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
            """
        )
    )


async def test_committed_application_whose_answer_was_lost_is_found_and_answered_202(api: BehindAProxy) -> None:
    api.proxy.lose_answer_to_commit()

    response = await api.post(an_application())

    assert api.proxy.commits_lost == 1
    assert response.status_code == 202
    stored = api.database.row("SELECT id, created_at FROM applications")
    assert response.json()["application_id"] == str(stored["id"])
    assert api.database.count("outbox_events") == api.database.count("audit_log") == 1


async def test_event_of_a_commit_that_was_in_doubt_is_left_to_the_publisher(broker: Broker, api: BehindAProxy) -> None:
    api.proxy.lose_answer_to_commit()
    in_doubt = (await api.post(an_application())).json()["application_id"]

    certain = (await api.post(an_application())).json()["application_id"]

    await soon(lambda: api.database.count("outbox_archive") == 1)
    assert broker.published(SUBMITTED) == 1
    assert [str(row["application_id"]) for row in api.database.rows("SELECT * FROM outbox_archive")] == [certain]
    assert [str(row["application_id"]) for row in api.database.rows("SELECT * FROM outbox_events")] == [in_doubt]


async def test_all_applications_of_a_batch_whose_answer_was_lost_are_found(api: BehindAProxy) -> None:
    api.proxy.lose_answer_to_commit()

    responses = await asyncio.gather(*(api.post(an_application()) for _ in range(30)))

    assert api.proxy.commits_lost == 1
    assert [response.status_code for response in responses] == [202] * 30
    assert api.database.count("applications") == 30


async def test_answer_found_later_is_what_its_key_gives_again(api: BehindAProxy) -> None:
    application, key = an_application(), an_idempotency_key()
    api.proxy.lose_answer_to_commit()
    first = await api.post(application, key)

    again = await api.post(application, key)

    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


async def test_application_whose_commit_never_arrived_is_503_and_left_no_row(api: BehindAProxy) -> None:
    api.proxy.lose_commit()
    watch = Stopwatch()

    response = await api.post(an_application())

    assert api.proxy.commits_lost == 1
    assert watch.seconds < 4.5
    assert_error(response, 503, "SERVICE_UNAVAILABLE")
    assert api.database.count("applications") == 0


@pytest.mark.usefixtures("endless_transactions")
async def test_backend_that_was_left_in_its_transaction_is_ended(api: BehindAProxy) -> None:
    api.proxy.lose_commit()

    await api.post(an_application())

    await soon(lambda: nobody_is_in_a_transaction(api.database))


async def test_application_whose_commit_never_arrived_is_accepted_when_posted_again(api: BehindAProxy) -> None:
    application, key = an_application(), an_idempotency_key()
    api.proxy.lose_commit()
    await api.post(application, key)

    response = await api.post(application, key)

    assert response.status_code == 202
    assert "idempotency-replayed" not in response.headers
    assert api.database.count("applications") == 1


async def test_unknown_outcome_is_503_and_its_key_gives_the_answer_later(
    api: BehindAProxy,
) -> None:
    application, key = an_application(), an_idempotency_key()
    api.proxy.lose_answer_to_commit_and_cut()
    watch = Stopwatch()

    response = await api.post(application, key)

    assert watch.seconds < 4.5
    assert_error(response, 503, "SERVICE_UNAVAILABLE")
    await soon(lambda: api.database.count("applications") == 1)
    api.proxy.restore()
    await ready(api.client)
    again = await api.accepted(application, key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["application_id"] == str(api.database.value("SELECT id FROM applications"))


async def test_outcome_that_cannot_be_found_out_is_503_and_nothing_is_left_of_it(api: BehindAProxy) -> None:
    application, key = an_application(), an_idempotency_key()
    api.proxy.lose_commit_and_cut()

    response = await api.post(application, key)

    assert_error(response, 503, "SERVICE_UNAVAILABLE")
    # The orphan ends by the server's own bound, idle_in_transaction_session_timeout.
    await soon(lambda: nobody_is_in_a_transaction(api.database))
    assert api.database.count("applications") == 0
    api.proxy.restore()
    await ready(api.client)
    answer = await api.accepted(application, key)
    assert "idempotency-replayed" not in answer.headers


async def test_duplicate_is_a_409_though_the_answer_to_its_commit_was_lost(api: BehindAProxy) -> None:
    application = an_application()
    await api.post(application)
    api.proxy.lose_answer_to_commit()

    response = await api.post(application)

    assert api.proxy.commits_lost == 1
    assert_error(response, 409, "DUPLICATE_APPLICATION")
    assert api.database.count("applications") == 1


async def test_next_application_is_accepted_after_a_lost_commit(api: BehindAProxy) -> None:
    api.proxy.lose_answer_to_commit()
    await api.post(an_application())

    response = await api.post(an_application())

    assert response.status_code == 202
