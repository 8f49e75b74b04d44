"""A test's own database, cloned from a migrated template, and the questions tests ask it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import dict_row

from prequal.local.logins import OF_COMMAND, as_login
from prequal.schema import roles
from prequal.schema.grants import Role
from prequal.schema.migrate import upgrade
from prequal.schema.retention import maintain

TEMPLATE = "migrated"
PASSWORD = "a-password-of-tests"
"""Of every login that `prepare` makes."""
TABLES = (
    "applications",
    "audit_log",
    "processed_messages",
    "outbox_events",
    "outbox_archive",
    "outbox_parked",
    "pan_claims",
    "idempotency_keys",
    "key_checks",
    "republications",
    "resolved_dead_letters",
    "api_clients",
    "api_client_secrets",
    "people",
    "people_sessions",
    "policy_versions",
    "policy_activations",
    "policy_challenges",
    "policy_shadows",
    "policy_shadow_differences",
    "review_cases",
    "review_notes",
    "review_votes",
)
"""Every table that holds facts; leases are left out, for they tick."""

Row = dict[str, Any]


class Database:
    """One database, asked over one connection in autocommit."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[Row] | None = None

    def rows(self, query: str, *values: object) -> list[Row]:
        return self._cursor(query, values).fetchall()

    def row(self, query: str, *values: object) -> Row:
        (found,) = self.rows(query, *values)
        return found

    def value(self, query: str, *values: object) -> Any:
        return next(iter(self.row(query, *values).values()))

    def execute(self, statement: str, *values: object) -> int:
        """Run a statement; how many rows it touched."""
        return self._cursor(statement, values).rowcount

    def connect(self) -> "psycopg.Connection[Row]":
        """A further connection, not in autocommit; the caller closes it."""
        return psycopg.connect(self.url, row_factory=dict_row)

    def application(self, application_id: object) -> Row:
        return self.row("SELECT * FROM applications WHERE id = %s", application_id)

    def count(self, table: str) -> int:
        return cast(int, self.value(f"SELECT count(*) FROM {table}"))

    def unpublished(self) -> int:
        """How many events wait to be published, parked ones too: asked at once, for rows go from one to the other."""
        query = "SELECT (SELECT count(*) FROM outbox_events) + (SELECT count(*) FROM outbox_parked)"
        return cast(int, self.value(query))

    def everything(self) -> dict[str, list[str]]:
        """Every row of every table that holds facts, as text and in order: equal means that nothing changed."""
        return {
            table: [row["line"] for row in self.rows(f"SELECT t::text AS line FROM {table} AS t ORDER BY 1")]
            for table in TABLES
        }

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cursor(self, query: str, values: tuple[object, ...]) -> "psycopg.Cursor[Row]":
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.url, autocommit=True, row_factory=dict_row)
        return self._connection.execute(query.encode(), values or None)


class Cluster:
    """A PostgreSQL server on which tests have databases of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = itertools.count(1)

    def make_template(self) -> None:
        """Migrate once, for all; what tests write need not outlive the machine."""
        self._command("ALTER SYSTEM SET fsync = off")
        self._command("SELECT pg_reload_conf()")
        self._command(f"CREATE DATABASE {TEMPLATE}")
        prepare(self.url_of(TEMPLATE))
        maintain(self.url_of(TEMPLATE))

    def url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[Database]:
        """A database that lasts as long as the block; `template0` for an empty one."""
        name = f"test_{next(self._numbers)}"
        self._command(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        database = Database(self.url_of(name))
        try:
            yield database
        finally:
            database.close()
            self._command(f"DROP DATABASE {name} WITH (FORCE)")

    def _command(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def prepare(url: str) -> None:
    """Make roles and logins, and the tables, as their owner."""
    roles.make(url, dict.fromkeys(Role, PASSWORD))
    upgrade(url)


def url_of_service(url: str, command: str) -> str:
    """The owner's address of a prepared database, for the login of a service; unchanged for another command."""
    return as_login(url, OF_COMMAND[command], PASSWORD) if command in OF_COMMAND else url
