"""When an address of which too many sign-ins were refused may try again, for pages and JSON alike."""

from prequal.people.sign_in import TooManyRefused


def retry_after(refused: TooManyRefused) -> dict[str, str]:
    """The header that says after how many seconds (RFC 9110, 10.2.3)."""
    return {"Retry-After": str(refused.seconds)}
