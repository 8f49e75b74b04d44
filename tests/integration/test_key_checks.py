"""The keys that a database knows: made known once, listed in their order, and forgotten."""

import pytest

from harness.database import Database
from prequal.core.errors import Misconfigured
from prequal.core.keys import KeyCheck, key_id
from prequal.postgres import connections, key_checks

FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))


async def test_key_is_known_once_and_until_it_is_forgotten(database: Database) -> None:
    async with connections.connected(database.url, "test") as connection:
        await key_checks.recorded_key("ENCRYPTION_KEY", KeyCheck.of(FIRST))(connection)
        await key_checks.record(connection, "ENCRYPTION_KEY", KeyCheck.of(SECOND))
        since = await key_checks.recorded(connection, "ENCRYPTION_KEY")
        await key_checks.record(connection, "ENCRYPTION_KEY", KeyCheck.of(SECOND))
        again = await key_checks.recorded(connection, "ENCRYPTION_KEY")

        await key_checks.forget(connection, "ENCRYPTION_KEY", key_id(FIRST))

        left = await key_checks.recorded(connection, "ENCRYPTION_KEY")
        with pytest.raises(Misconfigured, match=key_id(FIRST).hex()):
            await key_checks.recorded_key("ENCRYPTION_KEY", KeyCheck.of(FIRST))(connection)

    assert list(since) == [key_id(FIRST), key_id(SECOND)]
    assert again == since
    assert list(left) == [key_id(SECOND)]


async def test_key_of_one_purpose_is_unknown_for_another(database: Database) -> None:
    async with connections.connected(database.url, "test") as connection:
        await key_checks.record(connection, "ENCRYPTION_KEY", KeyCheck.of(FIRST))

        assert await key_checks.recorded(connection, "REPORT_KEY") == {}
