"""Applications that share a write of the API, by the queue itself and a real database."""

import asyncio

from harness.database import Database
from harness.system import KEYS
from prequal.api.batch_write import Accepted
from prequal.api.errors import ErrorCode
from prequal.api.submit import Submissions
from prequal.core.lifecycle import beside
from prequal.core.settings import ApiSettings, load
from prequal.core.topology import Service
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.postgres.connections import connected
from prequal.record.access_queries import accesses
from prequal.telemetry import metrics
from tests.support.submissions import a_new_application

LOCKED_ON_SECONDS = 1.5
"""More than a write of one application waits for a lock."""


def waiting() -> float:
    return next(iter(metrics.WAITING.collect())).samples[0].value


def submissions_to(database: Database, name: str = Service.API) -> Submissions:
    settings = load(
        ApiSettings,
        _env_file=None,
        database_url=database.url,
        kafka_bootstrap_servers="127.0.0.1:9",
        service_name=name,
        **{name.lower(): value for name, value in KEYS.items()},
    )
    return Submissions(settings, OwnEventPublisher(settings, Service.API, "topic"))


async def accepted(submissions: Submissions) -> Accepted:
    answer = await submissions.submit(a_new_application())
    assert isinstance(answer, Accepted)
    return answer


async def test_what_comes_to_the_answers_of_a_write_shares_the_next_one(database: Database) -> None:
    submissions = submissions_to(database)
    submissions.open()

    async def again() -> Accepted:
        await accepted(submissions)
        return await accepted(submissions)

    async with beside(submissions.run(asyncio.Event())):
        answered = [asyncio.ensure_future(again()) for _ in range(2)]
        await asyncio.sleep(0)
        while waiting():  # noqa: ASYNC110  # by turns of the loop, until their write has begun
            await asyncio.sleep(0)
        meanwhile = await accepted(submissions)

        written = {meanwhile.created_at} | {answer.created_at for answer in await asyncio.gather(*answered)}

    assert len(written) == 1  # a transaction has one time
    assert database.count("applications") == 5


async def test_nobody_is_written_one_by_one_who_has_less_than_a_second_left(database: Database) -> None:
    submissions, stop = submissions_to(database), asyncio.Event()
    submissions.open()
    writing = asyncio.ensure_future(submissions.run(stop))
    with database.connect() as other, other.transaction():
        other.execute("LOCK TABLE applications")
        posts = [asyncio.ensure_future(submissions.submit(a_new_application())) for _ in range(20)]
        answers = await asyncio.gather(*posts)
        await asyncio.sleep(LOCKED_ON_SECONDS)

    stop.set()
    submissions.wake()
    await writing

    assert answers == [ErrorCode.SERVICE_UNAVAILABLE] * 20
    assert database.count("applications") == 0


async def test_record_names_the_api_whatever_its_process_is_called(database: Database) -> None:
    submissions = submissions_to(database, "applications-mumbai")
    submissions.open()
    async with beside(submissions.run(asyncio.Event())):
        written = await accepted(submissions)

    async with connected(database.url, "test") as connection:
        [access] = await accesses(connection, [written.application_id])

    assert (access.by, access.purpose) == ("prequal-api", "an application was taken, and its PAN encrypted")
