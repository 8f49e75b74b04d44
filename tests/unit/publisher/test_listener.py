from prequal.publisher.listener import OutboxListener
from tests.builders import DATABASE_URL


def a_listener() -> OutboxListener:
    return OutboxListener(DATABASE_URL, ["one", "other"])


def test_notification_says_that_rows_of_its_topic_alone_are_expected() -> None:
    listener = a_listener()

    listener._notified(None, 0, "prequal_outbox", "one")

    assert {topic: event.is_set() for topic, event in listener.rows_expected.items()} == {"one": True, "other": False}


def test_notification_of_an_unknown_topic_changes_nothing() -> None:
    listener = a_listener()

    listener._notified(None, 0, "prequal_outbox", "unknown")

    assert not any(event.is_set() for event in listener.rows_expected.values())
