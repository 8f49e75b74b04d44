"""Plans of the hot statements, as they are prepared on a database that is still empty.

A plan made then is kept for minutes: one that scans, sorts or materialises a table gets slower with every row.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from harness.database import Database
from prequal.api import queries as api
from prequal.console.queries import application_list, applications
from prequal.console.queries.applications import Wanted
from prequal.core.topology import Service
from prequal.credit import kept_reports
from prequal.credit import queries as credit
from prequal.decision import queries as decision
from prequal.domain.review import DEFAULT_RULES
from prequal.messaging import inbox, outbox
from prequal.postgres import bureau_calls, connections
from prequal.publisher import queries

ID = uuid4()
LEASE = queries.Lease("loan_applications_submitted", uuid4(), 1)

WRITTEN = 5 + len(api._APPLICATIONS) + len(api._OTHER_FINGERPRINTS)

STATEMENTS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "api.write": lambda connection: api.write(connection, [], "prequal-api"),
    "api.write under several hash keys": lambda connection: connection.fetch(
        api.WRITE_UNDER_SEVERAL_KEYS, *[None] * WRITTEN
    ),
    "inbox.look_up": lambda connection: inbox.look_up(connection, "credit-service", []),
    "credit.record_decryptions": lambda connection: credit.record_decryptions(connection, []),
    "credit.append_reports": lambda connection: credit.append_reports(connection, [], bytes(8)),
    "decision.write_decisions": lambda connection: decision.write_decisions(connection, []),
    "decision.write_decisions with events": lambda connection: decision.write_decisions(
        connection, [], DEFAULT_RULES, True
    ),
    "kept_reports.find": lambda connection: kept_reports.find(connection, [], 60),
    "kept_reports.keep": lambda connection: kept_reports.keep(connection, []),
    "bureau_calls.count": lambda connection: bureau_calls.count(connection, 1, 1),
    "outbox.read_unpublished": lambda connection: queries.read_unpublished(connection, LEASE, [], 500),
    "outbox.topics_with_unpublished": lambda connection: queries.topics_with_unpublished(connection, [LEASE.name]),
    "outbox.archive_published": lambda connection: outbox.archive_published(
        connection, LEASE.name, [], Service.PUBLISHER
    ),
    "applications by key": lambda connection: applications._between(connection, ID, ID, Wanted(), 1),
    "applications by status": lambda connection: applications._of_the_list(connection, ID, Wanted("REJECTED")),
    "applications by client": lambda connection: applications._of_the_list(connection, ID, Wanted(client="local")),
    "applications by tail": lambda connection: applications._of_the_list(connection, ID, Wanted(tail="1234F")),
    "applications undecided": lambda connection: applications._among(
        connection, "undecided_below_mark", ID, Wanted("PENDING")
    ),
    "applications changed": lambda connection: applications._among(
        connection, "application_list_changes", ID, Wanted("REJECTED")
    ),
    "applications that fit": lambda connection: applications._fitting(connection, [], Wanted("REJECTED")),
    "application_list.extend_up": application_list.extend_up,
    "application_list.extend_down": application_list.extend_down,
}
TABLES = (
    "applications|audit_log|processed_messages|outbox_events|outbox_archive|pan_claims|idempotency_keys|bureau_reports|"
    "application_list|application_list_changes|undecided_below_mark"
)


class Recorder:
    """Takes the place of a connection and keeps the statement that is sent."""

    def __init__(self) -> None:
        self.statement = ""
        self.values = 0

    async def fetch(self, statement: str, *values: object) -> list[object]:
        self.statement, self.values = statement, len(values)
        return []

    async def fetchval(self, statement: str, *values: object) -> Any:
        await self.fetch(statement, *values)
        return 0

    async def execute(self, statement: str, *values: object) -> str:
        await self.fetch(statement, *values)
        return "INSERT 0 0"


@pytest.mark.parametrize("name", STATEMENTS)
async def test_statement_prepared_on_an_empty_database_walks_along_indexes_only(name: str, database: Database) -> None:
    recorder = Recorder()
    await STATEMENTS[name](recorder)
    connection = await connections.connect(database.url, "plans")
    await connection.execute(f"PREPARE hot AS {recorder.statement}")

    rows = await connection.fetch(f"EXPLAIN EXECUTE hot({', '.join(['NULL'] * recorder.values)})")

    await connection.close()
    plan = "\n".join(row[0] for row in rows)
    assert not re.search(rf"(Seq|Bitmap Heap) Scan on ({TABLES})\b", plan), plan
    assert not re.search(r"Materialize|Hash Join|Merge Join", plan), plan
    assert all("Cond: " in after for after in re.findall(rf"Scan using \S+ on (?:{TABLES})\b.*\n(.*)", plan)), plan
