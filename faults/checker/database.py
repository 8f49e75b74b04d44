"""Reads the database: one snapshot of every row the invariants ask for, and who is connected.

Invariant: nothing stays changed; the statements that try to change the audit log are rolled back.
"""

import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg

from faults.checker.evidence import Application, AuditRow, OutboxRow, StatedPolicy
from harness.journal import Connections, Transaction

NAME = "faults checker"
CONNECT_SECONDS = 3
TRIES = 5

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

APPLICATIONS = """
    SELECT id::text, pan_number_hash, monthly_income_inr, loan_amount_inr, loan_type, status, cibil_score, version,
           created_at, updated_at, policy_version, encode(policy_hash, 'hex')
    FROM applications
"""
POLICIES = """
    SELECT version, encode(hash, 'hex'), document,
           EXISTS (SELECT FROM policy_activations AS active WHERE active.version = stored.version),
           coalesce((
               SELECT max(share_basis_points) FROM policy_challenges AS challenge
               WHERE challenge.version = stored.version
           ), 0)
    FROM policy_versions AS stored
"""
CASES = "SELECT application_id::text, outcome FROM review_cases"
AUDIT = "SELECT application_id::text, action, occurred_at FROM audit_log"
OUTBOX = """
    SELECT 'outbox_events', topic, event_id::text, application_id::text, NULL::timestamptz FROM outbox_events
    UNION ALL
    SELECT 'outbox_parked', topic, event_id::text, application_id::text, NULL FROM outbox_parked
    UNION ALL
    SELECT 'outbox_archive', topic, event_id::text, application_id::text, published_at FROM outbox_archive
"""
HOLDERS = """
    SELECT application_id::text, string_agg(DISTINCT holder, ', ')
    FROM (
        SELECT application_id, 'pan_claims' FROM pan_claims
        UNION ALL
        SELECT application_id, 'idempotency_keys' FROM idempotency_keys
        UNION ALL
        SELECT application_id, 'republications' FROM republications
    ) AS held (application_id, holder)
    WHERE NOT EXISTS (SELECT FROM applications WHERE id = held.application_id)
    GROUP BY application_id
"""
NOT_AT_REST = """
    SELECT (SELECT count(*) FROM applications WHERE status = 'PENDING')
         + (SELECT count(*) FROM outbox_events) + (SELECT count(*) FROM outbox_parked)
"""
# The names of single connections end in an id of their own; those of a pool do not.
CONNECTIONS = r"""
    SELECT regexp_replace(application_name, ' [0-9a-f]{12}$', ' #'), count(*)
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> %s
    GROUP BY 1
"""
TRANSACTIONS = """
    SELECT extract(epoch FROM now())::float8, application_name,
           extract(epoch FROM clock_timestamp() - xact_start)::float8
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> %s
      AND application_name <> 'pg_dump' AND xact_start IS NOT NULL
    ORDER BY xact_start
"""
CHANGES = (
    "UPDATE audit_log SET request_id = request_id WHERE id = (SELECT min(id) FROM audit_log)",
    "DELETE FROM audit_log WHERE id = (SELECT min(id) FROM audit_log)",
    "TRUNCATE audit_log",
)


@contextmanager
def connected(database_url: str) -> Iterator[Connection]:
    """A connection in autocommit, for as long as the block."""
    with psycopg.connect(
        database_url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=NAME
    ) as connection:
        yield connection


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """A transaction in which every SELECT sees the same moment, and nothing can be written."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def applications(connection: Connection) -> dict[str, Application]:
    """Every application, by id."""
    return {row[0]: Application(*row) for row in connection.execute(APPLICATIONS)}


def policies(connection: Connection) -> dict[tuple[str | None, str | None], StatedPolicy]:
    """Every version that is stored, by its name and hash."""
    return {
        (version, digest): StatedPolicy(tomllib.loads(document)["limits"]["minimum_cibil_score"]["score"], *let)
        for version, digest, document, *let in connection.execute(POLICIES)
    }


def cases(connection: Connection) -> dict[str, str | None]:
    """What people decided, by application."""
    return dict(connection.execute(CASES).fetchall())


def audit(connection: Connection) -> tuple[AuditRow, ...]:
    """The whole record."""
    return tuple(AuditRow(*row) for row in connection.execute(AUDIT))


def outbox(connection: Connection) -> tuple[OutboxRow, ...]:
    """What waits, is parked, and was published."""
    return tuple(OutboxRow(*row) for row in connection.execute(OUTBOX))


def holders(connection: Connection) -> dict[str, str]:
    """Which tables name applications that are not there, by those applications' ids."""
    return dict(connection.execute(HOLDERS).fetchall())


def not_at_rest(connection: Connection) -> int:
    """How many applications are undecided and how many events unpublished."""
    ((count,),) = connection.execute(NOT_AT_REST)
    return int(count)


def connections(connection: Connection) -> Connections:
    """Who is connected, by name."""
    return Connections(time.time(), dict(connection.execute(CONNECTIONS, [NAME]).fetchall()))


def transactions(connection: Connection) -> tuple[Transaction, ...]:
    """The open transactions but a backup's, which may take long; the oldest first."""
    return tuple(Transaction(*row) for row in connection.execute(TRANSACTIONS, [NAME]))


def changes_not_refused(connection: Connection) -> tuple[str, ...]:
    """Which ways to change the audit log are open; what was changed is rolled back."""
    return tuple(words for change in CHANGES if (words := _tried(connection, change)))


def _tried(connection: Connection, change: str) -> str:
    """The statement when it went through, or why that is not known; nothing when it was refused."""
    for _ in range(TRIES):
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL lock_timeout = '1s'")
                connection.execute(change.encode())
            return change
        except psycopg.errors.InsufficientPrivilege:
            return ""
        except psycopg.errors.LockNotAvailable:
            continue
    return f"{change} (could not be tried: the table stayed locked)"
