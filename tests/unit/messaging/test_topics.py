import pytest
from confluent_kafka.cimpl import NewTopic

from prequal.messaging.topics import plan

DAY_MS = 86_400_000


def setting(topic: NewTopic, name: str) -> str:
    return (topic.config or {})[name]


def test_there_are_five_topics_of_three_partitions() -> None:
    assert {topic.topic: topic.num_partitions for topic in plan()} == {
        "loan_applications_submitted": 3,
        "loan_applications_submitted_dlq": 3,
        "application_decided": 3,
        "credit_reports_generated": 3,
        "credit_reports_generated_dlq": 3,
    }


def test_events_are_kept_for_7_days_and_dead_letters_for_30() -> None:
    kept = {topic.topic: int(setting(topic, "retention.ms")) // DAY_MS for topic in plan()}

    assert {name: 30 if name.endswith("_dlq") else 7 for name in kept} == kept


def test_segment_of_a_quiet_topic_is_closed_within_a_day() -> None:
    assert {int(setting(topic, "segment.ms")) for topic in plan()} == {DAY_MS}


def test_dead_letter_topics_take_64_kib_more_than_their_sources() -> None:
    bytes_max = {topic.topic: int(setting(topic, "max.message.bytes")) for topic in plan()}

    assert bytes_max["loan_applications_submitted_dlq"] - bytes_max["loan_applications_submitted"] == 64 * 1024
    assert bytes_max["credit_reports_generated_dlq"] - bytes_max["credit_reports_generated"] == 64 * 1024


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_acknowledgement_needs_all_replicas_but_one(copies: int, in_sync: str) -> None:
    topics = plan(copies)

    assert {topic.replication_factor for topic in topics} == {copies}
    assert {setting(topic, "min.insync.replicas") for topic in topics} == {in_sync}
