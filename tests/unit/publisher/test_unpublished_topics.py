"""Who looks for events that their writers did not publish, and for parked ones, and how often."""

import asyncio

from harness.waiting import soon
from prequal.core.settings import PublisherSettings, load
from prequal.core.topology import TOPICS
from prequal.postgres.shared_connection import SharedConnection
from prequal.publisher.queries import PARKED_SECONDS_MAX, UNPUBLISHED_SECONDS
from prequal.publisher.restoring import SELDOM_SECONDS, Restoring
from prequal.publisher.unpublished_topics import PROMPT_POLL_SECONDS, UnpublishedTopics

NOWHERE = "postgresql://127.0.0.1:1/nowhere"


def unpublished_topics(*, publish_own_events: bool = True) -> UnpublishedTopics:
    own = {"publish_own_events": publish_own_events}
    settings = load(PublisherSettings, _env_file=None, database_url=NOWHERE, kafka_bootstrap_servers="x:1", **own)
    return UnpublishedTopics(settings, TOPICS)


async def test_each_relay_looks_by_itself_while_nobody_can_tell_what_is_unpublished() -> None:
    unpublished, stop = unpublished_topics(), asyncio.Event()
    for found in unpublished.found.values():
        found.clear()

    watching = asyncio.create_task(unpublished.watch(SharedConnection(NOWHERE, "test"), stop))
    await soon(lambda: all(found.is_set() for found in unpublished.found.values()))

    stop.set()
    await watching


def test_writer_that_publishes_is_left_a_second_and_others_nothing() -> None:
    with_writers, without = unpublished_topics(), unpublished_topics(publish_own_events=False)

    assert (with_writers.seconds, with_writers.every_seconds) == (UNPUBLISHED_SECONDS, 0.4)
    assert (without.seconds, without.every_seconds) == (0.0, PROMPT_POLL_SECONDS)


def test_parked_rows_are_looked_for_at_each_renewal_only_while_there_may_be_any() -> None:
    now = [100.0]
    times = Restoring(lambda: now[0])
    times.expect()

    now[0] += PARKED_SECONDS_MAX
    at_first = [looked(times) for _ in range(3)]
    now[0] += SELDOM_SECONDS
    later = [looked(times) for _ in range(3)]
    times.expect()

    assert at_first == [True, True, True]
    assert later == [True, False, False]
    assert times.is_due()


def test_look_for_parked_rows_that_failed_is_made_again_at_once() -> None:
    times = Restoring()

    assert times.is_due()
    assert times.is_due()


def looked(times: Restoring) -> bool:
    """Whether it was time to look, and then nothing was found."""
    if is_due := times.is_due():
        times.looked()
    return is_due
