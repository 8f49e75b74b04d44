"""The roles of the database: every cell of the grid tried, logins, and what a process needs beside its tables."""

import asyncio
import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import errors
from typer.testing import CliRunner

from harness.database import PASSWORD, Cluster, Database
from harness.system import System
from harness.waiting import eventually, soon
from prequal.api.queries import end_backend
from prequal.cli.app import app
from prequal.core.errors import Misconfigured
from prequal.local.logins import as_login
from prequal.publisher.system_metrics import server
from prequal.schema import migrate, roles
from prequal.schema.grants import GRANTS, Role, privileges
from prequal.schema.retention import maintain
from prequal.telemetry.metrics import DB_OLDEST_TRANSACTION_SECONDS, DB_SERVER_CONNECTIONS
from tests.support.submissions import stored

runner = CliRunner()
OURS = "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"


def url_of(database: Database, role: Role) -> str:
    return as_login(database.url, role, PASSWORD)


@pytest.fixture(scope="module")
def tried(cluster: Cluster) -> Iterator[Database]:
    """One database for everything that is taken back."""
    with cluster.database() as database:
        roles.grant(database.url)  # a database that is cloned has not the privileges of its template itself
        yield database


@pytest.fixture(scope="module")
def as_role(tried: Database) -> Iterator["Trial"]:
    with psycopg.connect(tried.url, autocommit=True) as connection:
        yield Trial(connection)


class Trial:
    """Statements that are tried as a role and taken back."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._connection = connection

    def allows(self, role: Role, statement: str) -> bool:
        """Whether the role may run it. Raises every other error."""
        with self._connection.transaction(force_rollback=True):
            try:
                self._connection.execute(f"SET LOCAL ROLE {role}; {statement}".encode())
            except errors.InsufficientPrivilege as refused:
                return "append-only" in str(refused)  # by the trigger: the privilege is there
        return True

    def columns(self, table: str) -> list[tuple[str, str]]:
        """Name and type of every column."""
        return self._connection.execute(  # type: ignore[return-value]
            "SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table],
        ).fetchall()


STATEMENTS = {
    "SELECT": "SELECT {column} FROM {table} LIMIT 0",
    "INSERT": "INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE SELECT NULL::{type} WHERE false",
    "UPDATE": "UPDATE {table} SET {column} = DEFAULT WHERE false",
    "DELETE": "DELETE FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table}",
    "TRIGGER": "CREATE TRIGGER forbidden BEFORE INSERT ON {table} EXECUTE FUNCTION is_append_only()",
}
"""How each privilege is tried; that of REFERENCES needs a table of the role's own, which it cannot make."""


@pytest.mark.parametrize("table", GRANTS)
def test_role_may_do_with_a_table_what_its_cell_names_and_nothing_else(table: str, as_role: Trial) -> None:
    wrong = []
    for role, (verb, statement) in itertools.product(Role, STATEMENTS.items()):
        granted = privileges(table, role).get(verb)
        columns = as_role.columns(table) if "{column}" in statement else [("", "")]
        for name, kind in columns:
            expected = granted is not None and (not granted or name.strip('"') in granted)
            if as_role.allows(role, statement.format(table=table, column=name, type=kind)) != expected:
                wrong.append((role.value, verb, name, "refused" if expected else "allowed"))

    assert wrong == []


def test_every_table_has_a_row_in_the_grid(database: Database) -> None:
    tables = {row["name"] for row in database.rows(f"{OURS} AND relkind IN ('r', 'p') AND NOT relispartition")}

    assert tables == set(GRANTS)


def test_cells_name_only_privileges_of_tables() -> None:
    for table, role in itertools.product(GRANTS, Role):
        assert privileges(table, role).keys() <= {"SELECT", "INSERT", "UPDATE", "DELETE"}


@pytest.mark.parametrize("role", Role)
def test_no_role_changes_a_table_or_makes_one(role: Role, as_role: Trial) -> None:
    wanted = [
        *(f"ALTER TABLE {table} ADD COLUMN more text" for table in GRANTS),
        *(f"DROP TABLE {table}" for table in GRANTS),
        *(f"CREATE INDEX forbidden ON {table} (({table} IS NULL))" for table in GRANTS),
        "CREATE TABLE forbidden (id integer)",
        "CREATE TEMPORARY TABLE forbidden (id integer)",
        "CREATE SCHEMA forbidden",
        "CREATE ROLE forbidden",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "COPY applications TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
    ]

    assert [statement for statement in wanted if as_role.allows(role, statement)] == []


def test_day_that_maintenance_makes_is_reached_through_the_archive_alone(tried: Database, as_role: Trial) -> None:
    ahead = tried.value("SELECT (now() AT TIME ZONE 'UTC')::date + 3")
    day = f"outbox_archive_{ahead:%Y%m%d}"
    tried.execute(f"DROP TABLE {day}")
    maintain(tried.url)

    row = f"VALUES (1, 't', gen_random_uuid(), 'e', gen_random_uuid(), '', now(), '{ahead} 12:00+00')"
    columns = "(id, topic, event_id, event_type, application_id, payload, created_at, published_at)"
    assert as_role.allows(Role.PUBLISHER, f"INSERT INTO outbox_archive {columns} {row}")
    assert not as_role.allows(Role.PUBLISHER, f"INSERT INTO {day} {columns} {row}")
    assert [role for role in Role if as_role.allows(role, f"SELECT id FROM {day}")] == []


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────


def privileges_of(database: Database) -> list[dict[str, object]]:
    return database.rows(
        "SELECT attrelid::regclass::text AS name, attname AS part, attacl::text AS acl FROM pg_attribute "
        "WHERE attacl IS NOT NULL AND attrelid >= 16384 UNION ALL "
        "SELECT relname, '', relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2"
    )


def test_running_it_again_or_several_at_once_changes_nothing(cluster: Cluster, database: Database) -> None:
    before = privileges_of(database)

    with cluster.database() as other, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda url: roles.make(url, {}), [database.url, other.url] * 3))

    assert privileges_of(database) == before


def test_next_migration_gives_what_is_missing_and_takes_what_no_cell_names(database: Database) -> None:
    before = privileges_of(database)
    database.execute("REVOKE INSERT ON audit_log FROM prequal_api")
    database.execute("GRANT ALL ON applications TO prequal_publisher")
    database.execute("GRANT SELECT (applicant_name) ON applications TO prequal_reader")
    database.execute("GRANT SELECT ON pan_claims TO PUBLIC")

    migrate.upgrade(database.url)

    assert privileges_of(database) == before


def test_login_gets_a_new_password_and_the_old_one_ends(database: Database) -> None:
    try:
        done = runner.invoke(
            app,
            ["roles", "--json"],
            env={"DATABASE_URL": database.url, "READER_DATABASE_PASSWORD": "another-password-of-tests"},
        )
        logged_in = psycopg.connect(as_login(database.url, Role.READER, "another-password-of-tests"))

        assert json.loads(done.output) == {"roles": list(Role), "logins": ["prequal_reader_login"]}
        assert logged_in.execute("SELECT count(*) FROM outbox_events").fetchone() == (0,)
        logged_in.close()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url_of(database, Role.READER))
    finally:
        roles.make(database.url, {Role.READER: PASSWORD})


def test_statements_made_by_hand_suffice(database: Database) -> None:
    printed = runner.invoke(app, ["roles", "--sql"]).output
    for role in Role:
        database.execute(f"ALTER ROLE {role} RENAME TO {role}_of_before")
    try:
        database.execute(printed)
        migrate.upgrade(database.url)

        assert {role for role in Role if granted_to(database, role)} == set(Role)
    finally:
        for role in Role:
            database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
            database.execute(f"ALTER ROLE {role}_of_before RENAME TO {role}")


def granted_to(database: Database, role: Role) -> bool:
    return bool(database.value("SELECT has_table_privilege(%s, 'alembic_version', 'SELECT')", role))


@pytest.fixture
def owner(empty_database: Database) -> Iterator[str]:
    """The address of a role that owns its database and may nothing else, as a managed server gives it."""
    name = empty_database.url.rpartition("/")[2]
    empty_database.execute(f"CREATE ROLE plain_owner LOGIN PASSWORD '{PASSWORD}'")
    empty_database.execute(f"ALTER DATABASE {name} OWNER TO plain_owner")
    yield empty_database.url.replace(empty_database.url.partition("@")[0], f"postgresql://plain_owner:{PASSWORD}")
    empty_database.execute("REASSIGN OWNED BY plain_owner TO CURRENT_USER; DROP OWNED BY plain_owner")
    empty_database.execute("DROP ROLE plain_owner")


def test_owner_without_the_right_to_make_roles_grants_to_those_that_are_there(
    owner: str, empty_database: Database
) -> None:
    migrate.upgrade(owner)

    assert all(granted_to(empty_database, role) for role in Role)


def test_tables_are_migrated_and_kept_by_their_owner_when_there_are_no_roles(
    owner: str, empty_database: Database
) -> None:
    for role in Role:
        empty_database.execute(f"ALTER ROLE {role} RENAME TO {role}_of_before")
    try:
        migrate.upgrade(owner)
        maintain(owner)

        with pytest.raises(Misconfigured, match="prequal roles --sql"):
            roles.make(owner, {})
    finally:
        for role in Role:
            empty_database.execute(f"ALTER ROLE {role}_of_before RENAME TO {role}")


# ── what a process needs beside its tables ──────────────────────────────────────────────────────────────────────


def test_login_of_a_process_is_nobody_special(database: Database) -> None:
    found = database.rows(
        """
        SELECT login.rolname AS login, held.rolname AS role,
               login.rolsuper OR login.rolcreatedb OR login.rolcreaterole OR login.rolreplication OR login.rolbypassrls
               OR held.rolcanlogin AS special,
               EXISTS (SELECT FROM pg_shdepend WHERE refobjid IN (login.oid, held.oid) AND deptype = 'o') AS owns
        FROM pg_auth_members JOIN pg_roles AS login ON login.oid = member JOIN pg_roles AS held ON held.oid = roleid
        WHERE login.rolname LIKE 'prequal%%' AND login.rolcanlogin ORDER BY 1
        """
    )

    expected = [{"login": role.login, "role": role.value, "special": False, "owns": False} for role in sorted(Role)]
    assert found == expected


def test_process_runs_as_its_own_login_and_none_is_superuser(database: Database, system: System) -> None:
    system.start()

    seen = database.rows(
        "SELECT DISTINCT split_part(usename, '_', 2) AS command, usesuper FROM pg_stat_activity "
        "JOIN pg_user USING (usename) WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY 1"
    )
    assert seen == [{"command": name, "usesuper": False} for name in ("api", "credit", "decision", "publisher")]


async def test_api_ends_a_lost_backend_of_its_own_and_nobody_elses(database: Database) -> None:
    own, lost, foreign = [
        await asyncpg.connect(url_of(database, role), server_settings={"application_name": "lost"})
        for role in (Role.API, Role.API, Role.CREDIT)
    ]

    await end_backend(own, lost.get_server_pid(), "lost")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await end_backend(own, foreign.get_server_pid(), "lost")

    await asyncio.to_thread(eventually, lambda: _is_gone(database, lost.get_server_pid()))
    assert await foreign.fetchval("SELECT 1") == 1
    for connection in (own, foreign):
        await connection.close()
    lost.terminate()


def _is_gone(database: Database, pid: int) -> bool:
    return database.rows("SELECT FROM pg_stat_activity WHERE pid = %s", pid) == []


async def test_publisher_sees_the_sessions_of_all_roles(database: Database) -> None:
    with psycopg.connect(url_of(database, Role.API)) as other:
        other.execute("SELECT 1")
        publisher = await asyncpg.connect(url_of(database, Role.PUBLISHER))
        owner = await asyncpg.connect(database.url)

        async def seen_alike() -> Any:
            seen, all_of_them = [await server(connection) for connection in (publisher, owner)]
            return seen[DB_SERVER_CONNECTIONS] == all_of_them[DB_SERVER_CONNECTIONS] and seen

        seen = await soon(seen_alike)  # a connection that was closed before may end between the two
        assert seen[DB_OLDEST_TRANSACTION_SECONDS] > 0
        for connection in (publisher, owner):
            await connection.close()


@pytest.mark.parametrize("words", [["status"], ["trace", "{id}"]])
def test_reader_suffices_for_what_only_reads(
    words: Sequence[str], database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (application,) = stored(database, 1)
    environment = {"DATABASE_URL": url_of(database, Role.READER), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    done = runner.invoke(app, [word.format(id=application.id) for word in words], env=environment)

    assert "PENDING" in done.output


def test_reader_suffices_for_a_backtest(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    stored(database, 1)

    done = runner.invoke(app, ["policy", "backtest", "v1"], env={"DATABASE_URL": url_of(database, Role.READER)})

    assert "1 are pending" in done.output
