"""Dead letters as JSON, the same for the command line and the console's API.

Invariant: no field holds a PAN or a control character.
"""

from typing import Any

from prequal.ops.payload_view import show, show_value
from prequal.ops.stored_dead_letter import StoredDeadLetter, WholeDeadLetter, plain


def as_json(dead_letter: StoredDeadLetter) -> dict[str, Any]:
    """A dead letter without its content."""
    origin = dead_letter.origin
    return {
        "id": str(dead_letter.id),
        "state": dead_letter.state.value,
        "event_id": dead_letter.event_id and str(dead_letter.event_id),
        "application_id": dead_letter.application_id and str(dead_letter.application_id),
        "reason": dead_letter.kind,
        "error_message": dead_letter.error_message,
        "origin": {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
        "first_seen": dead_letter.first_seen,
        "last_seen": dead_letter.last_seen,
        "attempts": dead_letter.attempts,
    }


def contents(whole: WholeDeadLetter) -> dict[str, Any]:
    """Key, headers and payload of a dead letter, PANs masked."""
    shown = show(whole.value)
    return {
        "key": show_value(whole.key),
        "headers": [[plain(name), show_value(value)] for name, value in whole.headers],
        "payload": {"binary": shown.binary, "lines": shown.lines, "left_out": shown.left_out},
    }
