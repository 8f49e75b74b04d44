"""Migrations of large tables, beside the writes of posts."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import alembic.op
import psycopg
import pytest

from harness.database import Database
from harness.waiting import eventually
from prequal.schema.migrate import downgrade, upgrade
from tests.support.submissions import stored

ROWS = 100_000
POSTED = (
    "applications",
    "pan_claims",
    "idempotency_keys",
    "audit_log",
    "outbox_events",
    "outbox_archive",
    "bureau_reports",
)
"""Tables to which a post, its event or its report adds a row."""
SCANS = re.compile(
    rf"""CREATE\ (UNIQUE\ )?INDEX\ (?!CONCURRENTLY).*\ ON\ ({"|".join(POSTED)})\b
         |ALTER\ TABLE\ ({"|".join(POSTED)})\b(?!.*\ NOT\ VALID).*\ CHECK\ """,
    re.VERBOSE | re.DOTALL,
)
"""Statements that read a whole table under a lock that bars its writes."""
RUNNING = r"""
    SELECT query_start FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND ltrim(query, E' \n') LIKE %s
"""


@pytest.fixture
def large(database: Database) -> Database:
    """A database at revision 0123 with many applications that wait for their decision."""
    downgrade(database.url, "0123")
    stored(database)
    database.execute(
        """
        INSERT INTO applications
        SELECT (jsonb_populate_record(application, jsonb_build_object('id', gen_random_uuid()))).*
        FROM applications AS application, generate_series(1, %s)
        """,
        ROWS,
    )
    return database


class Writer:
    """Takes the lock of a write on `applications` again and again, and never waits for it."""

    def __init__(self, database: Database, statement: str) -> None:
        self._asked = Database(database.url)
        self._writes = database.connect()
        self._statement = statement
        self.beside = 0
        """How many writes began and ended while the statement ran."""
        self.refused = 0

    def write_until(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(0.001):
                before = self._asked.rows(RUNNING, self._statement)
                self._write(bool(before) and before == self._asked.rows(RUNNING, self._statement))
        finally:
            self._asked.close()
            self._writes.close()

    def _write(self, is_beside: bool) -> None:
        try:
            self._writes.execute("LOCK TABLE applications IN ROW EXCLUSIVE MODE NOWAIT")
            self.beside += is_beside
        except psycopg.errors.LockNotAvailable:
            self.refused += 1
        self._writes.rollback()


def beside(database: Database, statement: str, migrate: Callable[[], object]) -> Writer:
    """Migrate, with a writer beside it that looks whether `statement` runs."""
    writer, stop = Writer(database, statement), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(writer.write_until, stop)
        try:
            migrate()
        finally:
            stop.set()
        writing.result()
    return writer


def test_posts_go_on_while_the_index_of_the_undecided_is_built(large: Database) -> None:
    upgrade(large.url, "0124")

    writer = beside(large, "CREATE INDEX%", lambda: downgrade(large.url, "0123"))

    assert writer.refused == 0
    assert writer.beside > 0
    assert large.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'applications_undecided'::regclass")


def test_index_that_was_given_up_half_built_is_built_again(large: Database) -> None:
    upgrade(large.url, "0124")
    large.execute("CREATE INDEX applications_undecided ON applications (created_at) WHERE false")

    downgrade(large.url, "0123")

    assert "'PENDING'" in large.value("SELECT pg_get_indexdef('applications_undecided'::regclass)")


def test_posts_go_on_while_the_undecided_are_listed(large: Database) -> None:
    writer = beside(large, "INSERT INTO undecided_below_mark%", lambda: upgrade(large.url, "0124"))

    assert writer.beside > 0
    assert large.count("undecided_below_mark") == large.count("applications")


def test_application_that_is_committed_while_the_undecided_are_listed_is_listed_too(large: Database) -> None:
    with large.connect() as late, ThreadPoolExecutor(1) as threads:
        late.execute(
            """
            INSERT INTO applications
            SELECT (jsonb_populate_record(application, jsonb_build_object(
                'id', gen_random_uuid(), 'created_at', now(), 'updated_at', now()
            ))).*
            FROM applications AS application LIMIT 1
            """
        )
        migrating = threads.submit(upgrade, large.url, "0124")
        eventually(lambda: large.rows(RUNNING, "LOCK TABLE applications%") or migrating.done())
        late.commit()
        migrating.result(60)

    assert large.count("undecided_below_mark") == large.count("applications") == ROWS + 2


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the migrations execute from now on."""
    executed: list[str] = []
    working = alembic.op.execute

    def execute(statement: str) -> None:
        executed.append(" ".join(statement.split()))
        working(statement)

    monkeypatch.setattr(alembic.op, "execute", execute)
    return executed


def test_no_later_migration_reads_a_table_of_posts_whole_under_a_lock_that_bars_writes(
    empty_database: Database, statements: list[str]
) -> None:
    upgrade(empty_database.url, "0100")
    statements.clear()
    upgrade(empty_database.url)
    downgrade(empty_database.url, "0100")

    assert len(statements) > 100
    assert [statement for statement in statements if SCANS.search(statement)] == []
