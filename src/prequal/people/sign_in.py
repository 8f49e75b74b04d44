"""Sign-in: name, password and, for people who have one, the code of the second factor.

Invariant: a refusal says the same, after the same work, whatever was wrong; too many, and their address waits.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from prequal.core.errors import Refused, Transient
from prequal.core.refused_attempts import RefusedAttempts, address_of
from prequal.people import queries, second_factor, sessions
from prequal.people.passwords import PasswordVerifier
from prequal.people.queries import Credentials
from prequal.people.second_factor_keys import SecondFactorKeys, SecondFactorUnreadable
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, ActorKind, record_act

WAITING_MAX = 8
"""So many sign-ins wait for their turn; more are sent away, so that a flood costs one hash at a time."""


class SignInRefused(Refused):
    """Name, password or code is wrong, or there were too many failed sign-ins: then wait 15 minutes."""


class PasswordsOff(SignInRefused):
    """Passwords are not taken here: use your organisation's sign-in, at a command line `prequal login --browser`."""


class TooManyRefused(Refused):
    """Too many sign-ins were refused from this address: try again in a minute.

    Attributes:
        seconds: after so many it is worth trying again.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many sign-ins were refused from this address: try again in a minute.")
        self.seconds = seconds


class SignInBusy(Transient):
    """Too many people sign in at this moment: try again in a few seconds."""


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    """How long a session lives unused, and at most; in seconds."""

    idle_seconds: int
    seconds: int


class SignIn:
    """Signs people in, one after the other; what is refused is counted by address beside the names' own counts."""

    def __init__(
        self,
        lifetime: SessionLifetime,
        connection: Callable[[], AbstractAsyncContextManager[Connection]],
        *,
        keys: SecondFactorKeys | None = None,
        passwords: bool = True,
    ) -> None:
        """Wire it; `connection` gives one for as long as its block lasts, and is asked when it is a sign-in's turn."""
        self._keys = keys
        self._passwords = passwords
        self._lifetime = lifetime
        self._connection = connection
        self._verifier = PasswordVerifier()
        self._waiting = 0
        self._refused = RefusedAttempts()

    async def __call__(self, name: str, password: str, code: str, host: str) -> str:
        """The token of a new session, for what was given from `host`, an IP address.

        Raises:
            PasswordsOff: nobody signs in so.
            SignInRefused: what was given does not fit, or the name is locked or disabled; a failure is counted.
            TooManyRefused: that happened too often to that address; what was given is not looked at.
            SignInBusy: too many wait already.
            SecondFactorUnreadable: password and name fit, and the second factor cannot be read here.
        """
        if not self._passwords:
            raise PasswordsOff
        address = address_of(host)
        self._require_few_refused(address)
        if self._waiting >= WAITING_MAX:
            raise SignInBusy
        self._waiting += 1
        try:
            async with self._verifier.turn:
                self._require_few_refused(address)  # of those that waited with this one
                async with self._connection() as connection:
                    token = await self._sign_in(connection, name.strip().lower(), password, code)
                if token is None:
                    self._refused.note(address)
                    raise SignInRefused
        finally:
            self._waiting -= 1
        return token

    def _require_few_refused(self, address: str) -> None:
        if seconds := self._refused.wait(address):
            raise TooManyRefused(seconds)

    async def _sign_in(self, connection: Connection, name: str, password: str, code: str) -> str | None:
        known = await queries.credentials(connection, name)
        fits = await self._verifier.fits(password, known.password_hash if known else None)
        step = self._step(known, name, code, fits)
        if known is None or not (fits and known.may_sign_in) or step is None:
            await _record_failure(connection, name)
            return None
        return await self._begin(connection, name, known, step)

    def _step(self, known: Credentials | None, name: str, code: str, fits: bool) -> int | None:
        """The step whose code was given; 0 for a person without a second factor."""
        if known is None or known.totp_secret is None:
            return 0
        try:
            if self._keys is None:
                raise SecondFactorUnreadable
            secret = self._keys.decrypted(known.totp_secret, name)
        except SecondFactorUnreadable:
            if fits:  # whose password does not fit learns nothing of a second factor
                raise
            return None
        return second_factor.step_of(secret, code, known.now, known.totp_last_step)

    async def _begin(self, connection: Connection, name: str, verified: Credentials, step: int) -> str | None:
        token = sessions.new_token()
        async with connection.transaction():
            if not await queries.count_success(connection, name, verified, step):
                return None  # the person was changed, or the code taken, a moment ago
            await sessions.begin(connection, name, token, self._lifetime.idle_seconds, self._lifetime.seconds)
            await record_act(connection, Actor(ActorKind.PERSON, name), "signed_in", "person", name)
        return token


async def _record_failure(connection: Connection, name: str) -> None:
    async with connection.transaction():
        if await queries.count_failure(connection, name):
            actor = Actor(ActorKind.PROCESS, "console")
            details = {"failed_sign_ins": queries.FAILED_SIGN_INS_MAX, "minutes": queries.LOCKED_MINUTES}
            await record_act(connection, actor, "person_locked", "person", name, details)
