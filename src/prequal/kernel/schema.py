"""Which shape of the database this code expects.

Neighbours: every service asks at its first connection; `prequal.migrations` makes the shape.
Invariant: a test holds `REVISION` against the newest migration.
"""

from prequal.kernel.db import Connection
from prequal.kernel.errors import Misconfigured

REVISION = "0006"


async def check_schema(connection: Connection) -> None:
    """Compare the database's revision with ours.

    Raises:
        Misconfigured: it is not migrated, or migrated by newer code; the message says what to do.
    """
    if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
        raise Misconfigured("The database is not migrated: run `prequal migrate`.")
    found = await connection.fetchval("SELECT version_num FROM alembic_version")
    if found is None or found < REVISION:
        raise Misconfigured(f"The database is at revision {found or 'none'}, before {REVISION}: run `prequal migrate`.")
    if found > REVISION:
        raise Misconfigured(
            f"The database is at revision {found}, ahead of this code's {REVISION}: run the newer code, "
            f"or `prequal migrate --down {REVISION}` with it first."
        )
