"""The identity in an issuer's tokens: the pair of its address and the name that it gave, which together mean one alone.

Invariant: a subject says nothing without its issuer, so that another issuer's tokens are nobody's here.
"""

import re
from dataclasses import dataclass
from typing import Final

from prequal.core.errors import UsageError
from prequal.core.settings import checks
from prequal.domain.pan_detection import looks_like_pan

ISSUER_CHARACTERS_MAX: Final = 500
SUBJECT_CHARACTERS_MAX: Final = 255
"""Of `sub` (OpenID Connect Core 1.0, 2), and enough for the names of clients."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""What many issuers name people and clients by; one in 300 holds five letters, four digits and a letter."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A client or a person as an issuer knows it."""

    issuer: str
    subject: str

    @classmethod
    def of(cls, issuer: str, subject: str) -> "Identity":
        """The identity of these two.

        Raises:
            UsageError: one of them does not fit.
        """
        try:
            fits = 0 < len(checks.issuer(issuer)) <= ISSUER_CHARACTERS_MAX
        except ValueError:
            fits = False
        if not fits:
            raise UsageError(
                "The issuer must look like https://issuer.example/realm, as `iss` of its tokens spells it."
            )
        if not (0 < len(subject) <= SUBJECT_CHARACTERS_MAX and subject.isascii() and subject.isprintable()):
            raise UsageError(f"The subject must be 1 to {SUBJECT_CHARACTERS_MAX} printable characters of ASCII.")
        if looks_like_pan(subject) and not _UUID.fullmatch(subject.lower()):
            raise UsageError("The subject holds something that looks like a PAN: have the issuer give another name.")
        return cls(issuer, subject)
