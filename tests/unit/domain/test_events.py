from prequal.core.topology import GROUPS, dead_letter_topic, topic_of
from prequal.domain.events import MESSAGE_VERSION, EventType


def test_the_topics_have_their_public_names() -> None:
    topics = [topic_of(event_type) for event_type in EventType]

    assert topics == ["loan_applications_submitted", "credit_reports_generated", "application_decided"]
    assert [dead_letter_topic(topic) for topic in GROUPS] == [
        "loan_applications_submitted_dlq",
        "credit_reports_generated_dlq",
    ]


def test_messages_are_of_version_one() -> None:
    assert MESSAGE_VERSION == "v1"
