"""Encrypts the PANs of stored applications once more, under the active key, beside a system that runs.

Invariant: each decryption is recorded, and the record committed, before it happens; of a row only the token changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from prequal.core.blocking import blocking
from prequal.domain.application import FIRST_ID
from prequal.ops import key_queries
from prequal.ops.key_queries import Renewed, Stored
from prequal.ops.progress import kept_apart
from prequal.postgres import key_uses
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import recorded_key
from prequal.schema.version import connected_at_revision
from prequal.security.pan_encryption import KeyRing

BATCH: Final = 500
COMMAND_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reencryption:
    """How far it came: applications looked at, and those whose token is new."""

    seen: int = 0
    renewed: int = 0


@blocking
async def reencrypt(
    database_url: str, ring: KeyRing, progress: Callable[[Reencryption], None] = lambda _: None
) -> Reencryption:
    """Encrypt under the active key whatever another key encrypted. Begun again, it passes over what is done.

    Raises:
        UnknownKey: a token's key is not on the ring; what comes before it is done.
        Invalid: a token was altered.
        Misconfigured: the database is not migrated, or a key of the ring is not its own.
        Transient: the database does not answer.
        OSError: `progress` raised it; what comes before it is done.
    """
    done, after = Reencryption(), FIRST_ID
    with kept_apart(progress) as say:
        async with connected_at_revision(database_url, "reencrypt", {}, COMMAND_SECONDS) as connection:
            await recorded_key("ENCRYPTION_KEY", *ring.checks)(connection)
            while batch := await key_queries.tokens_after(connection, after, BATCH):
                old = [each for each in batch if not ring.is_current(each.token)]
                renewed = await _renew(connection, ring, old) if old else 0
                after = batch[-1].application_id
                done = Reencryption(done.seen + len(batch), done.renewed + renewed)
                say(done)
    return done


async def _renew(connection: Connection, ring: KeyRing, old: Sequence[Stored]) -> int:
    """Renew the tokens of one batch, in two commits: the record of the decryptions, then the tokens and theirs."""
    for each in old:
        ring.require_key(each.token)
    await key_queries.record_decryptions(connection, [each.application_id for each in old])
    renewed = [
        Renewed(
            each.application_id,
            each.token,
            ring.encrypt(ring.decrypt(each.token, each.application_id), each.application_id),
        )
        for each in old
    ]
    async with connection.transaction():
        await recorded_key("ENCRYPTION_KEY", ring.checks[0])(connection)
        count = await key_queries.renew(connection, renewed)
        await key_uses.add(connection, ring.take_uses())
    return count
