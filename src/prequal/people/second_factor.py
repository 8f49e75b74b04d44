"""The second factor: a code of 6 digits that changes every 30 s (RFC 6238), from a secret on a person's telephone.

Invariant: a code is taken once; the step that it belongs to is never taken again.
"""

import hmac
from datetime import datetime
from typing import Final

import pyotp

ISSUER: Final = "prequal"
STEP_SECONDS: Final = 30
STEPS_EITHER_WAY: Final = 1
"""So many steps may the clocks of telephone and database differ (RFC 6238, 5.2)."""


def new_secret() -> str:
    """A secret of 160 bits, as base32."""
    return pyotp.random_base32()


def address(name: str, secret: str) -> str:
    """The `otpauth://` address that an authenticator reads, as text or as the QR code that it makes of it."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def step_of(secret: str, code: str, now: datetime, last: int) -> int | None:
    """The step after `last` whose code this is, of those around `now`; None when it is none of theirs."""
    present = int(now.timestamp()) // STEP_SECONDS
    digits = "".join(code.split())
    found = None
    for step in range(present - STEPS_EITHER_WAY, present + STEPS_EITHER_WAY + 1):
        expected = pyotp.TOTP(secret).generate_otp(step)
        if hmac.compare_digest(expected.encode(), digits.encode()) and step > last:
            found = step
    return found
