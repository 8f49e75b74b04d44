"""People are added, listed, given roles and passwords, and disabled; for the command line, the console, `prequal up`.

Invariant: whatever ends a right ends the person's sessions in the same transaction, and is in the record. What is given
as `shown` is what the caller was shown of the present state; None is not compared.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from prequal.core.errors import Refused, UsageError
from prequal.domain.pan_detection import looks_like_pan
from prequal.domain.person import PERSON_NAME, PersonRole
from prequal.issuers.identity import Identity
from prequal.people import passwords, queries, second_factor, sessions
from prequal.people.queries import Person
from prequal.people.second_factor_keys import PURPOSE, SecondFactorKeys
from prequal.postgres import paging
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import recorded_key
from prequal.record.acts import Actor, Detail, record_act


@dataclass(frozen=True, slots=True)
class NewSecrets:
    """What a person is to have: a password, and a second factor where `totp_secret` is not None.

    `totp_secret` is the secret itself, to be shown once; `keys` encrypt it.
    """

    password: str = field(repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    keys: SecondFactorKeys | None = None

    @classmethod
    def of(cls, password: str | None, *, totp: bool, keys: SecondFactorKeys | None = None) -> "NewSecrets":
        """With this password or a random one.

        Raises:
            UsageError: the password is too short or too long, or there is no key to encrypt a second factor with.
        """
        chosen = passwords.new_password() if password is None else password
        passwords.require_good(chosen)
        if totp and keys is None:
            raise UsageError("There is no second factor without PEOPLE_KEY; `prequal keys generate` makes one.")
        return cls(chosen, second_factor.new_secret() if totp else None, keys)

    def stored_for(self, name: str) -> str | None:
        """The second factor of the person of this name, as it is stored."""
        if self.totp_secret is None:
            return None
        assert self.keys is not None, "`of` has seen to it"
        return self.keys.encrypted(self.totp_secret, name)


async def add(connection: Connection, actor: Actor, name: str, roles: Collection[PersonRole], new: NewSecrets) -> None:
    """Add a person.

    Raises:
        UsageError: the name does not fit or is taken, or there is no role.
        Misconfigured: the key of the second factor is not the database's.
    """
    _require_name(name)
    chosen = _roles(roles)
    password_hash = await passwords.hash_of(new.password)
    async with connection.transaction():
        await _require_key(connection, new)
        if not await queries.insert_person(connection, name, chosen, password_hash, new.stored_for(name)):
            raise UsageError(f"There is a person {name} already.")
        details: dict[str, Detail] = {"roles": " ".join(chosen), "second_factor": new.totp_secret is not None}
        await record_act(connection, actor, "person_added", "person", name, details)


async def set_roles(
    connection: Connection,
    actor: Actor,
    name: str,
    roles: Collection[PersonRole],
    shown: Collection[str] | None = None,
) -> None:
    """Give a person these roles in the place of the present ones, from the next page on.

    Raises:
        UsageError: there is no such person, the person is disabled, or there is no role.
        Refused: the present roles are others than were shown.
    """
    chosen = _roles(roles)
    async with connection.transaction():
        person = await _living(connection, name)
        if shown is not None and set(shown) != set(person.roles):
            raise Refused(f"{name} has other roles than were shown: {', '.join(person.roles)}, by now.")
        await queries.set_roles(connection, name, chosen)
        details: dict[str, Detail] = {"before": " ".join(person.roles), "after": " ".join(chosen)}
        await record_act(connection, actor, "person_roles_changed", "person", name, details)


async def disable(connection: Connection, actor: Actor, name: str) -> None:
    """Disable a person for good, and end the person's sessions at once.

    Raises:
        UsageError: there is no such person, or the person is disabled.
    """
    async with connection.transaction():
        await _living(connection, name)
        await queries.disable(connection, name)
        await sessions.end_all(connection, name)
        await record_act(connection, actor, "person_disabled", "person", name)


async def set_password(
    connection: Connection,
    actor: Actor,
    name: str,
    new: NewSecrets,
    *,
    second_factor_too: bool,
    shown: bool | None = None,
) -> None:
    """Give a person a new password, end the sessions and a lock; and, if asked, a new second factor or none.

    Raises:
        UsageError: there is no such person, or the person is disabled.
        Refused: the person has a second factor and was shown without one, or the other way round.
        Misconfigured: the key of the second factor is not the database's.
    """
    password_hash = await passwords.hash_of(new.password)
    async with connection.transaction():
        person = await _living(connection, name)
        if shown not in (None, person.has_second_factor):
            before, now = ("with a", "none") if shown else ("without a", "one")
            raise Refused(f"{name} was shown {before} second factor, and has {now} by now.")
        await queries.set_password(connection, name, password_hash)
        if second_factor_too:
            await _require_key(connection, new)
            await queries.set_second_factor(connection, name, new.stored_for(name))
        await sessions.end_all(connection, name)
        has_one = new.totp_secret is not None if second_factor_too else person.has_second_factor
        await record_act(connection, actor, "person_password_changed", "person", name, {"second_factor": has_one})


async def set_identity(
    connection: Connection, actor: Actor, name: str, identity: Identity | None, shown: str | None = None
) -> None:
    """Let an issuer vouch for a person, in place of who did, or nobody any more; ends the person's sessions.

    Raises:
        UsageError: there is no such person, the person is disabled, the identity is another person's, or there is none
            to take away.
        Refused: `known_as` of the person is another than was shown.
    """
    claims = (None, None) if identity is None else (identity.issuer, identity.subject)
    async with connection.transaction():
        person = await _living(connection, name)
        if shown not in (None, person.known_as):
            raise Refused(f"{name} was shown with another subject at an issuer: now {person.known_as or 'with none'}.")
        if identity is None and not person.known_as:
            raise UsageError(f"No issuer vouches for {name}.")
        if not await queries.set_identity(connection, name, *claims):
            raise UsageError("This subject of the issuer is another person's: see `prequal users list`.")
        await sessions.end_all(connection, name)
        details: dict[str, Detail] = dict(zip(("issuer", "subject"), claims, strict=True))
        await record_act(connection, actor, "person_identity_changed", "person", name, details)


async def list_all(connection: Connection) -> list[Person]:
    """Every person, in the order of their names."""
    return await paging.every(partial(list_after, connection), lambda each: each.name)


async def list_after(connection: Connection, name: str, most: int) -> list[Person]:
    """So many people, in the order of their names, after this one."""
    return await queries.people_after(connection, name, most)


async def _require_key(connection: Connection, new: NewSecrets) -> None:
    """See that the key of a second factor is the database's; it is not retired before this transaction ends."""
    if new.totp_secret is not None and new.keys is not None:
        await recorded_key(PURPOSE, *new.keys.checks, former=True)(connection)


async def _living(connection: Connection, name: str) -> Person:
    person = await queries.locked_person(connection, name)
    if person is None:
        raise UsageError("There is no person of this name: see `prequal users list`.")
    if person.disabled_at is not None:
        raise UsageError(f"{name} is disabled, for good: add the person under another name.")
    return person


def _roles(roles: Collection[PersonRole]) -> list[str]:
    if not roles:
        raise UsageError(f"A person has one role or more: {', '.join(PersonRole)}.")
    return sorted({role.value for role in roles})


def _require_name(name: str) -> None:
    if not PERSON_NAME.fullmatch(name):
        raise UsageError("A name has 1 to 100 lower-case letters, digits and . _ @ -, and begins with neither sign.")
    if looks_like_pan(name):
        raise UsageError("The name holds something that looks like a PAN: choose another.")
