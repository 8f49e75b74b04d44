"""The policies by which stored decisions were taken, read when they are first asked for.

Invariant: a decision is explained by the very document that decided it, or by none.
"""

from prequal.domain.policy import packaged
from prequal.domain.policy.policy import Policy
from prequal.policy_versions.life import policy_of
from prequal.postgres.connections import ConnectionPool


class DecidedPolicies:
    """Policies by version and hash; what was read once is kept, for a document never changes."""

    def __init__(self, read_pool: ConnectionPool) -> None:
        self._read_pool = read_pool
        self._known: dict[tuple[str, bytes], Policy | None] = {}

    async def of(self, version: str, digest: bytes | None) -> Policy | None:
        """The policy of this version and hash; older decisions have no hash. None where this code cannot load it.

        Raises:
            Transient: the database does not answer.
        """
        if digest is None:
            return packaged.policy_of(version)
        if (version, digest) not in self._known:
            self._known[version, digest] = await self._read(version, digest)
        return self._known[version, digest]

    async def _read(self, version: str, digest: bytes) -> Policy | None:
        async with self._read_pool.use("policy") as connection:
            return await policy_of(connection, version, digest)
