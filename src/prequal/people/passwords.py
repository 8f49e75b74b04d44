"""Passwords: their rules, and the argon2id hash that alone is stored.

Invariant: at most one hash is computed at a time in a process, never on the event loop, and in a thread of its own, so
that nobody waits to sign in for work that waits for a store.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from prequal.core.errors import UsageError

CHARACTERS_MIN: Final = 12
"""More than the 8 that NIST SP 800-63B demands; no rule of classes, as it says."""
CHARACTERS_MAX: Final = 200

_HASHER: Final = PasswordHasher()
"""Argon2id with the parameters of RFC 9106 for little memory: 64 MiB, three passes."""
_THREAD: Final = ThreadPoolExecutor(1, "passwords")
_OF_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5LW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""A hash that no password has: a name that nobody has takes the same time as a wrong password."""


def new_password() -> str:
    """A random password of 144 bits."""
    return secrets.token_urlsafe(18)


def require_good(password: str) -> None:
    """Refuse what is too short to be a password, too long, or no text in UTF-8.

    Raises:
        UsageError: it is; the message does not repeat it.
    """
    if not CHARACTERS_MIN <= len(password) <= CHARACTERS_MAX:
        raise UsageError(f"A password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters.")
    try:
        password.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise UsageError("The password is no text in UTF-8: give it in a locale that uses UTF-8.") from None


async def hash_of(password: str) -> str:
    """What is stored of a password. Takes some 0.1 s of CPU, and 64 MiB."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _HASHER.hash, password)


class PasswordVerifier:
    """Verifies passwords one after the other, off the event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    @property
    def turn(self) -> asyncio.Lock:
        """Held while one sign-in is looked at, from its reading to its writing: no two guesses count as one."""
        return self._turn

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one of this hash; without a hash no password is, after the same time."""
        fits = partial(_fits, password[:CHARACTERS_MAX], stored or _OF_NOBODY)
        return await asyncio.get_running_loop().run_in_executor(_THREAD, fits)


def _fits(password: str, stored: str) -> bool:
    try:
        return _HASHER.verify(stored, password.encode(errors="surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
