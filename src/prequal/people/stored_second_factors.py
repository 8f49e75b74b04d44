"""Second factors as they are stored, seen to by the first process that has PEOPLE_KEY.

Invariant: after the console's start every second factor is under its active key, or the console has not started.
"""

from collections.abc import Awaitable, Callable

from prequal.core.errors import Misconfigured
from prequal.people import queries
from prequal.people.second_factor_keys import PURPOSE, SecondFactorKeys, SecondFactorUnreadable, key_id_of
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import recorded_key
from prequal.record.acts import Actor, record_act


def encrypted_under(keys: SecondFactorKeys | None, actor: Actor) -> Callable[[Connection], Awaitable[None]]:
    """A check of the start that compares the keys with the database's, and encrypts what is not under the active one.

    That is what a release before PEOPLE_KEY stored in the clear, and what a retired key encrypted; each is an act.
    """

    async def check(connection: Connection) -> None:
        """Raises `Misconfigured` when PEOPLE_KEY is missing though somebody has a second factor, or is another one."""
        if keys is None:
            await _require_none(connection)
        else:
            async with connection.transaction():  # within which no key is retired
                await recorded_key(PURPOSE, *keys.checks, former=True)(connection)
                await _encrypt(connection, keys, actor)

    return check


async def _require_none(connection: Connection) -> None:
    if stored := await queries.second_factors(connection):
        people = "1 person has" if len(stored) == 1 else f"{len(stored)} people have"
        raise Misconfigured(
            f"{PURPOSE} is missing, and {people} a second factor: set the key that they are encrypted under or, after "
            f"a release that had none, a new one of `prequal keys generate`."
        )


async def _encrypt(connection: Connection, keys: SecondFactorKeys, actor: Actor) -> None:
    for name, stored in (await queries.second_factors(connection)).items():
        if keys.is_current(stored):
            continue
        renewed = keys.encrypted(_secret(keys, stored, name), name)
        await queries.replace_second_factor(connection, name, renewed)
        await record_act(connection, actor, "second_factor_encrypted", "person", name)


def _secret(keys: SecondFactorKeys, stored: str, name: str) -> str:
    """A secret of before, to be encrypted again."""
    id_ = key_id_of(stored)
    if id_ is None:
        return stored
    try:
        return keys.decrypted(stored, name)
    except SecondFactorUnreadable:
        raise Misconfigured(
            f"The second factor of {name} cannot be decrypted: add its key (id {id_.hex()}) to PEOPLE_KEYS_RETIRED, or "
            f"give {name} a new one by `prequal users password {name} --totp`."
        ) from None
