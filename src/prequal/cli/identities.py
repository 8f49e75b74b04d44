"""The options `--issuer` and `--subject`: whom an issuer's tokens name."""

from prequal.core.errors import UsageError
from prequal.issuers.identity import Identity


def of(issuer: str | None, subject: str | None) -> Identity | None:
    """The identity of both; None without either.

    Raises:
        UsageError: one is missing, or does not fit.
    """
    if issuer is None and subject is None:
        return None
    if issuer is None or subject is None:
        raise UsageError("--issuer and --subject belong together.")
    return Identity.of(issuer, subject)


def given(issuer: str | None, subject: str | None, *, none: bool) -> Identity | None:
    """The identity of both, or None where that is said.

    Raises:
        UsageError: neither is said, or both; or as for `of`.
    """
    found = of(issuer, subject)
    if none is (found is not None):
        raise UsageError("Give --issuer and --subject, or --none.")
    return found
