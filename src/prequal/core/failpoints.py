"""Names for the moments at which a crash would hurt most: round every commit, acknowledgement and stored offset.

Invariant: in production a passage is one call of an empty function, switched on by nothing.
"""

from enum import StrEnum


class Place(StrEnum):
    """A moment that a fault test can aim at."""

    API_BEFORE_BEGIN = "api.before_begin"
    API_BEFORE_COMMIT = "api.before_commit"
    """Everything is inserted."""
    API_AFTER_COMMIT = "api.after_commit"
    """Nobody is answered yet."""

    PUBLISHER_BEFORE_ACK = "publisher.before_ack"
    """Rows are handed to the client; the broker may have them or not."""
    PUBLISHER_AFTER_ACK = "publisher.after_ack"
    """Acknowledgements are in hand, and not settled."""
    PUBLISHER_AFTER_ARCHIVE = "publisher.after_archive"

    RECONCILER_BEFORE_COMMIT = "reconciler.before_commit"
    RECONCILER_AFTER_COMMIT = "reconciler.after_commit"

    CREDIT_BEFORE_RECORD = "credit.before_record"
    """The record of the openings is not committed, and nothing opened."""
    CREDIT_AFTER_RECORD = "credit.after_record"
    """The record of the openings is committed, and nothing opened."""
    CREDIT_BEFORE_COMMIT = "credit.before_commit"
    CREDIT_AFTER_COMMIT = "credit.after_commit"
    """No offset is stored yet."""

    DECISION_BEFORE_COMMIT = "decision.before_commit"
    """The policy has decided, and nothing is sent."""
    DECISION_AFTER_COMMIT = "decision.after_commit"
    """No offset is stored yet."""

    CONSUMER_BEFORE_OFFSET = "consumer.before_offset"
    """Everything in hand is settled."""
    CONSUMER_AFTER_OFFSET = "consumer.after_offset"
    CONSUMER_BEFORE_DEAD_LETTER = "consumer.before_dead_letter"
    CONSUMER_AFTER_DEAD_LETTER = "consumer.after_dead_letter"
    """The dead-letter topic holds the message, and its offset is not stored yet."""


def reached(place: Place) -> None:
    """Say that `place` is passed."""
