"""The publisher as a process: one relay per topic, the republisher, and the metrics of the whole system.

Invariant: it holds no PAN key.
"""

import asyncio
import functools
from collections.abc import Iterable

from prequal.core.settings import PublisherSettings
from prequal.core.topology import TOPICS, Service
from prequal.messaging.outbox_producer import OutboxProducer
from prequal.publisher.relay import TopicRelay
from prequal.publisher.republisher import Republisher
from prequal.publisher.system_metrics import SystemMetrics
from prequal.publisher.unpublished_topics import UnpublishedTopics
from prequal.service import process
from prequal.service.readiness import Readiness
from prequal.service.run import started
from prequal.telemetry.breakers import breaker_of


def run(settings: PublisherSettings) -> None:
    """Publish until SIGTERM.

    Raises:
        Misconfigured: a setting, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: PublisherSettings, stop: asyncio.Event) -> None:
    breaker = breaker_of("kafka_producer", settings.kafka_bootstrap_servers)
    producer = OutboxProducer(settings, "prequal-publisher", TOPICS, breaker, tells_when_warm=True)
    unpublished = UnpublishedTopics(settings, TOPICS)
    relays = [TopicRelay(topic, settings, producer, unpublished) for topic in TOPICS]
    readiness = Readiness(Service.PUBLISHER, settings, lambda: "; ".join(_reasons(producer, relays)) or None)
    async with started(Service.PUBLISHER, settings, stop, readiness) as running:
        publishing = [running.group.create_task(relay.run(stop)) for relay in relays]
        running.group.create_task(unpublished.watch(readiness.database, stop))
        running.group.create_task(Republisher(settings).run(stop))
        running.group.create_task(SystemMetrics(settings).run(stop))
        await stop.wait()
        await asyncio.wait(publishing)
        producer.stop()


def _reasons(producer: OutboxProducer, relays: Iterable[TopicRelay]) -> list[str]:
    """Why the publisher cannot do its work, though its dependencies answer."""
    failures = [relay.failure for relay in relays if relay.failure]
    return failures if producer.warm else ["the Kafka producer has no id yet", *failures]
