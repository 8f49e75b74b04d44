"""Migrations of large tables, beside the writes of posts."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import alembic.op
import psycopg
import pytest

from harness.database import Database, Row
from harness.waiting import eventually
from prequal.postgres import locks
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


def lock_for_a_write(connection: "psycopg.Connection[Row]") -> None:
    """Take the lock of a write on `applications`, without waiting for it: an error if something bars writes."""
    connection.execute("LOCK TABLE applications IN ROW EXCLUSIVE MODE NOWAIT")


def call_after_each_statement(monkeypatch: pytest.MonkeyPatch, then: Callable[[str], None]) -> None:
    """Give `then` the text, on one line, of each statement that a migration has executed."""
    working = alembic.op.execute

    def execute(statement: str) -> None:
        working(statement)
        then(" ".join(statement.split()))

    monkeypatch.setattr(alembic.op, "execute", execute)


def test_posts_go_on_while_the_index_of_the_undecided_is_built(
    large: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(large.url, "0124")
    monkeypatch.setattr(locks, "LOCK_MS", 60_000)  # no pause between two tries in which nothing is built

    # A build beside writes waits for those that began before it, so that the next one surely comes while it runs.
    with ThreadPoolExecutor(1) as threads, large.connect() as before, large.connect() as beside:
        lock_for_a_write(before)
        migrating = threads.submit(downgrade, large.url, "0123")
        eventually(lambda: large.rows(RUNNING, "CREATE INDEX%"))
        lock_for_a_write(beside)
        assert large.rows(RUNNING, "CREATE INDEX%")
        before.rollback()
        beside.rollback()
        migrating.result(60)

    assert large.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'applications_undecided'::regclass")


def test_index_that_was_given_up_half_built_is_built_again(large: Database) -> None:
    upgrade(large.url, "0124")
    large.execute("CREATE INDEX applications_undecided ON applications (created_at) WHERE false")

    downgrade(large.url, "0123")

    assert "'PENDING'" in large.value("SELECT pg_get_indexdef('applications_undecided'::regclass)")


def test_posts_go_on_while_the_undecided_are_listed(large: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []

    def write_beside(statement: str) -> None:
        if statement.startswith("INSERT INTO undecided_below_mark") and not listed:
            # What the statement locked stays locked until its transaction ends, which is later.
            with large.connect() as beside:
                lock_for_a_write(beside)
            listed.append(statement)

    call_after_each_statement(monkeypatch, write_beside)
    upgrade(large.url, "0124")

    assert len(listed) == 1
    assert large.count("undecided_below_mark") == large.count("applications")


def test_application_that_is_committed_while_the_undecided_are_listed_is_listed_too(large: Database) -> None:
    with ThreadPoolExecutor(1) as threads, large.connect() as late:
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


def test_no_later_migration_reads_a_table_of_posts_whole_under_a_lock_that_bars_writes(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_database.url, "0100")
    statements: list[str] = []
    call_after_each_statement(monkeypatch, statements.append)
    upgrade(empty_database.url)
    downgrade(empty_database.url, "0100")

    assert len(statements) > 100
    assert [statement for statement in statements if SCANS.search(statement)] == []
