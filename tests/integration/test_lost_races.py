"""PostgreSQL ends one of two that met (a deadlock, a serialization failure): the same is tried again, at once."""

from collections.abc import AsyncIterator

import httpx
import pytest

from harness.applications import an_application, an_idempotency_key
from harness.database import Database
from prequal.local.kafka import Kafka
from prequal.telemetry import metrics
from tests.support.api import api_within, assert_error, ready

MET = ["40001", "40P01"]


@pytest.fixture
async def client(database: Database, kafka: Kafka) -> AsyncIterator[httpx.AsyncClient]:
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        yield client


def lose(database: Database, times: int, state: str) -> None:
    """Have the next writes of applications fail as a race that was lost; a sequence counts also what is rolled back."""
    database.execute("CREATE SEQUENCE lost_races")
    database.execute(
        f"""
        CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('lost_races') <= {times} THEN
                RAISE EXCEPTION 'lost' USING ERRCODE = '{state}';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    database.execute("CREATE TRIGGER lose BEFORE INSERT ON applications FOR EACH STATEMENT EXECUTE FUNCTION lose()")


@pytest.mark.parametrize("state", MET)
async def test_lost_race_is_tried_again_and_nobody_notices(
    database: Database, client: httpx.AsyncClient, state: str
) -> None:
    again = metrics.RETRIES.labels("write")
    before = again._value.get()
    lose(database, 3, state)

    response = await client.post("/applications", json=an_application())

    assert response.status_code == 202
    assert database.count("applications") == database.count("outbox_events") == 1
    assert again._value.get() == before + 3


async def test_application_that_loses_every_race_is_503_and_leaves_nothing(
    database: Database, client: httpx.AsyncClient
) -> None:
    lose(database, 5, "40P01")
    application, headers = an_application(), {"Idempotency-Key": an_idempotency_key()}

    refused = await client.post("/applications", json=application, headers=headers)
    left = database.count("applications") + database.count("pan_claims") + database.count("idempotency_keys")
    taken = await client.post("/applications", json=application, headers=headers)

    assert_error(refused, 503, "SERVICE_UNAVAILABLE")
    assert refused.headers["retry-after"]
    assert left == 0
    assert taken.status_code == 202
