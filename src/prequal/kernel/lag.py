"""How far the consumer groups are behind the ends of their topics, by the broker's own word.

Neighbours: the reconciler asks before it adds load, `prequal status` shows it.
Invariant: whoever asks joins no group, so that nothing is rebalanced, and no answer is waited for longer than seconds.
"""

from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from prequal.domain.events import GROUPS
from prequal.kernel.kafka import common_settings
from prequal.kernel.settings import KafkaSettings

ASK_SECONDS = 3.0


def by_group(kafka: KafkaSettings) -> dict[str, int]:
    """Messages that each group has still before it. Blocks for seconds when the broker does not answer.

    Raises:
        KafkaException: it does not answer.
    """
    return {group: sum(by_partition(kafka, topic, group).values()) for topic, group in GROUPS.items()}


def by_partition(kafka: KafkaSettings, topic: str, group: str) -> dict[int, int]:
    """Messages of each partition that one group has still before it; none for a topic that is missing.

    Raises:
        KafkaException: the broker does not answer.
    """
    # A consumer that never joins: librdkafka 2.16 dies of the admin client's question for a group that is new.
    # What goes wrong is raised, so it need not be logged as well.
    settings = common_settings(kafka) | {"client.id": "prequal-lag", "group.id": group, "log_level": 0}
    with closing(Consumer(settings)) as asked:
        partitions = asked.list_topics(topic, ASK_SECONDS).topics[topic].partitions
        places = asked.committed([TopicPartition(topic, number) for number in partitions], timeout=ASK_SECONDS)
        return {
            place.partition: _behind(asked.get_watermark_offsets(place, ASK_SECONDS), place.offset) for place in places
        }


def _behind(watermarks: tuple[int, int], committed: int) -> int:
    low, high = watermarks
    return max(0, high - max(low, committed))
