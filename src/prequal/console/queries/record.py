"""SQL of the record of acts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from prequal.postgres.connections import Connection
from prequal.record.blocks import details_of
from prequal.record.queries import readable

SHOWN_MAX: Final = 50
LAST: Final = 2**63 - 1
DETAILS_SHOWN: Final = 100
"""Characters of details that no process of ours has written."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done, and by whom."""

    id: int
    at: datetime
    actor_kind: str
    actor: str
    action: str
    subject_kind: str
    subject: str
    details: Mapping[str, Any]


async def before(connection: Connection, key: int) -> list[Act]:
    """The newest acts before an id."""
    rows = await connection.fetch(
        f"""
        SELECT id, {readable("occurred_at")}, actor_kind, actor, action, subject_kind, subject, details FROM acts
        WHERE id < $1 ORDER BY id DESC LIMIT $2
        """,
        key,
        SHOWN_MAX,
    )
    return [_act(row) for row in rows]


def _act(row: asyncpg.Record) -> Act:
    id_, at, actor_kind, actor, action, subject_kind, subject, details = row
    said = details_of(details)
    if not isinstance(said, Mapping):
        said = {"cannot_be_read": f"{details[:DETAILS_SHOWN]}…"}
    return Act(id_, at, actor_kind, actor, action, subject_kind, subject, said)
