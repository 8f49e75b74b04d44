"""The kinds of failure, distinguished by the next step of the caller.

Invariant: no message here ever carries a PAN.
"""

KINDS = (
    "challenge_draw_missing",
    "contradicts_application",
    "different_content",
    "empty_message",
    "invalid_fields",
    "invalid_report_mac",
    "malformed_json",
    "tampered_token",
    "unexpected_error",
    "unknown_application",
    "unknown_version",
    "unreadable_headers",
    "unreadable_token",
    "wrong_event_id",
)
"""Every reason for which this code makes a message a dead letter."""


class PrequalError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Refused(PrequalError):
    """The request breaks a rule: tell the person who sent it."""


class Invalid(PrequalError):
    """The message can never succeed: publish it as a dead letter.

    `kind` is one of `KINDS`: a short, stable name of the reason, a metric's label and the `dlq.error_kind` header.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Transient(PrequalError):
    """The infrastructure failed (database, broker, network): wait and try again."""


class UnknownKey(Transient):
    """A key id that this process does not hold: a fault of the deployment, so the message waits for its key."""


class KeysUnavailable(Transient):
    """The key service does not answer, and what it unwrapped last is too old."""


class Misconfigured(PrequalError):
    """A setting, a key or the database does not fit: stop now, and say how to correct it."""


class UsageError(PrequalError):
    """An argument of the command line does not fit: say which one, and how to write it."""
