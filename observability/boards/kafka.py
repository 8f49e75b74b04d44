"""The board of everything between acceptance and decision: outbox, topics, consumers, dead letters.

Invariant: lag and outbox are the broker's and the database's word, not a consumer's.
"""

from observability.boards.shared import breakers, reached
from observability.panels import Board, Kind, Panel, Row, Unit, above

LATENCY = Row(
    "Latency",
    [
        Panel(
            "Hop latency p95",
            "Seconds from commit to broker (outbox) and from broker to handled (topic), of the oldest message of each "
            "batch. The slowest hop is where the time goes.",
            Unit.SECONDS,
            {
                "{{topic}}: {{hop}}": "histogram_quantile(0.95, sum by (le, topic, hop)"
                " (rate(hop_duration_seconds_bucket[$__rate_interval])))"
            },
            above(0.5, 1),
            ("DecisionBudgetBurnsFast",),
            width=16,
        ),
        Panel(
            "Oldest unpublished event",
            "Seconds that the oldest event of each topic has waited in the outbox to be published.",
            Unit.SECONDS,
            {"{{topic}}": "max by (topic) (outbox_oldest_age_seconds)"},
            above(5, 30),
            ("OutboxOld",),
        ),
    ],
)

TRAFFIC = Row(
    "Traffic",
    [
        Panel(
            "Published",
            "Messages that the broker acknowledged, a second.",
            Unit.PER_SECOND,
            {"{{topic}}": "sum by (topic) (rate(kafka_messages_published_total[$__rate_interval]))"},
        ),
        Panel(
            "Consumed",
            "Messages handled a second, by outcome: done, seen before (duplicate), dead letter (dead), "
            "to be published again (postponed).",
            Unit.PER_SECOND,
            {
                "{{topic}}: {{outcome}}": "sum by (topic, outcome)"
                " (rate(kafka_messages_consumed_total[$__rate_interval]))"
            },
        ),
        Panel(
            "Republished",
            "Events of the chosen time that were republished because their applications stayed undecided for too long.",
            Unit.COUNT,
            {"events": "sum(increase(events_republished_total[$__range]))"},
            above(1, 100),
            ("UndecidedTooLong",),
            Kind.NUMBER,
        ),
    ],
)

ERRORS = Row(
    "Errors",
    [
        Panel(
            "Publish errors",
            "Messages that the broker refused or lost, a second, by librdkafka's name of the reason.",
            Unit.PER_SECOND,
            {"{{topic}}: {{error}}": "sum by (topic, error) (rate(kafka_publish_errors_total[$__rate_interval]))"},
            above(0.05, 1),
            ("PublishErrors",),
        ),
        Panel(
            "Dead letters",
            "Messages of the chosen time that became dead letters, by reason.",
            Unit.COUNT,
            {"{{topic}}: {{reason}}": "sum by (topic, reason) (increase(dead_letters_total[$__range]))"},
            above(1, 50),
            ("DeadLettersRising",),
            Kind.BARS,
        ),
        Panel(
            "Dead letters stored",
            "Messages that each dead-letter topic holds, resolved or not, for 30 days.",
            Unit.COUNT,
            {"{{topic}}": "max by (topic) (dead_letters_stored)"},
            above(1, 50),
            ("DeadLettersRising",),
            Kind.NUMBER,
        ),
        Panel(
            "Stopped consumers, paused partitions",
            "1 for a consumer that too many dead letters in a row have stopped; and partitions that wait for a key, or "
            "for the end of an open transaction.",
            Unit.COUNT,
            {
                "{{service}} stopped": "max by (service) (consumer_stopped)",
                "{{service}} without a key": "sum by (service) (consumer_partitions_without_key)",
                "{{service}} in a transaction": "sum by (service) (consumer_partitions_in_transaction)",
            },
            above(1, 2),
            ("ConsumerStopped", "PartitionWithoutKey", "PartitionInTransaction"),
        ),
        reached("kafka"),
        breakers("kafka_producer"),
    ],
)

SATURATION = Row(
    "Saturation",
    [
        Panel(
            "Consumer lag",
            "Messages between each group's committed offsets and the ends; offsets are committed each second.",
            Unit.COUNT,
            {"{{group}}": "sum by (group) (max by (group, topic, partition) (kafka_consumer_lag))"},
            above(500, 1000),
            ("ConsumerLagHigh",),
        ),
        Panel(
            "Lag by partition",
            "The same for each partition: one that stands alone waits for a key, or is slow for its own reason.",
            Unit.COUNT,
            {"{{topic}} {{partition}}": "max by (topic, partition) (kafka_consumer_lag)"},
            above(500, 1000),
            ("ConsumerLagHigh", "PartitionWithoutKey"),
        ),
        Panel(
            "Outbox",
            "Unpublished events, and events that the broker refused and that wait for their next try.",
            Unit.COUNT,
            {
                "{{topic}}": "max by (topic) (outbox_depth)",
                "{{topic}} parked": "max by (topic) (outbox_parked)",
            },
            above(1000, 10000),
            ("OutboxOld", "OutboxParked", "BacklogUnknown"),
        ),
    ],
)

KAFKA = Board(
    "prequal-kafka",
    "Prequalification: outbox, topics and consumers",
    "What happens between the acceptance of an application and its decision, hop by hop.",
    [LATENCY, TRAFFIC, ERRORS, SATURATION],
)
