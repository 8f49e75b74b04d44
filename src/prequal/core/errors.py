"""The four kinds of failure, told apart by what the caller must do next.

Invariant: no message here ever carries a PAN.
"""

KINDS = (
    "contradicts_application",
    "different_content",
    "empty_message",
    "invalid_fields",
    "malformed_json",
    "tampered_token",
    "unexpected_error",
    "unknown_application",
    "unknown_version",
    "unreadable_token",
    "wrong_event_id",
)
"""The reasons that this code puts a message aside for."""


class PrequalError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Refused(PrequalError):
    """The request breaks a rule: tell the person who sent it."""


class Invalid(PrequalError):
    """The message can never succeed: put it aside as a dead letter.

    `kind` is one of `KINDS`: a short, stable name of the reason, a metric's label and the `dlq.error_kind` header.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Transient(PrequalError):
    """The surroundings failed (database, broker, network): wait and try again."""


class UnknownKey(Transient):
    """A key id that this process does not hold: a fault of the deployment, so the message waits for its key."""


class Misconfigured(PrequalError):
    """A setting, a key or the database does not fit: stop now, and say how to mend it."""
