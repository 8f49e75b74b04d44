"""Names of the moments at which a crash would hurt most: around every commit, acknowledgement and stored offset.

Invariant: in production a failpoint is one call of an empty function, and nothing switches it on.
"""

from enum import StrEnum


class Place(StrEnum):
    """A moment that a fault test can aim at."""

    API_BEFORE_BEGIN = "api.before_begin"
    API_BEFORE_COMMIT = "api.before_commit"
    """Everything is inserted."""
    API_AFTER_COMMIT = "api.after_commit"
    """No client is answered yet."""

    WRITER_AFTER_ACK = "writer.after_ack"
    """The API or credit has published its events; acknowledgements are there, and their rows are not archived."""

    PUBLISHER_BEFORE_ACK = "publisher.before_ack"
    """The Kafka client has the rows; the broker may have them or not."""
    PUBLISHER_AFTER_ACK = "publisher.after_ack"
    """Acknowledgements are there, and their rows are not archived."""
    PUBLISHER_AFTER_ARCHIVE = "publisher.after_archive"

    REPUBLISHER_BEFORE_COMMIT = "republisher.before_commit"
    REPUBLISHER_AFTER_COMMIT = "republisher.after_commit"

    CREDIT_BEFORE_RECORD = "credit.before_record"
    """The audit record is not committed, and no PAN is decrypted."""
    CREDIT_AFTER_RECORD = "credit.after_record"
    """The audit record is committed, and no PAN is decrypted."""
    CREDIT_BEFORE_COMMIT = "credit.before_commit"
    CREDIT_AFTER_COMMIT = "credit.after_commit"
    """No offset is stored yet."""

    DECISION_BEFORE_COMMIT = "decision.before_commit"
    """The policy has decided, and nothing is written."""
    DECISION_AFTER_COMMIT = "decision.after_commit"
    """No offset is stored yet."""

    REVIEW_BEFORE_COMMIT = "review.before_commit"
    """A person's decision is written whole, and not committed."""
    REVIEW_AFTER_COMMIT = "review.after_commit"
    """The person has no answer yet."""

    CONSUMER_BEFORE_OFFSET = "consumer.before_offset"
    """The batch is handled."""
    CONSUMER_AFTER_OFFSET = "consumer.after_offset"
    CONSUMER_BEFORE_DEAD_LETTER = "consumer.before_dead_letter"
    CONSUMER_AFTER_DEAD_LETTER = "consumer.after_dead_letter"
    """The dead-letter topic holds the message, and its offset is not stored yet."""


def reached(place: Place) -> None:
    """The process passes `place`; fault tests replace this function."""
