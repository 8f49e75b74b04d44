"""SQL of the list of applications: the newest by key, and a search for what is rare.

A search asks the list that `queries.application_list` fills, and walks along the key where the list does not reach:
what is newer than it, what is older, what is undecided below the mark, and what changed since.

Invariant: nothing that fits is left out between the key that a page begins at and the one that it ends at.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from prequal.console.queries.application_list import NO_BAND
from prequal.domain.application import FIRST_ID, Status, time_of
from prequal.domain.scoring import HIGHEST_SCORE
from prequal.ops.backtest import BANDS
from prequal.postgres.connections import Connection

SHOWN_MAX: Final = 50
NEWER_MAX: Final = 20_000
"""The list is some twenty seconds behind: it has the rest at 800 applications a second."""
OLDER_MAX: Final = 5_000
"""Of what is older than the list, of the undecided below the mark and of the changes, each."""
DECIDED: Final = (Status.PRE_APPROVED, Status.REJECTED, Status.MANUAL_REVIEW)


@dataclass(frozen=True, slots=True)
class Listed:
    """An application as the list shows it."""

    id: UUID
    created_at: datetime
    status: str
    loan_type: str
    loan_amount_inr: Decimal
    cibil_score: int | None
    pan_number_masked: str
    client: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list; below `older` there may be more, unless it is None."""

    applications: Sequence[Listed]
    older: UUID | None = None

    @property
    def looked_back_to(self) -> datetime | None:
        """The time of `older` where the page is not full: what is older is not in the list yet."""
        if self.older is None or len(self.applications) == SHOWN_MAX:
            return None
        return time_of(self.older)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for; empty or None for any.

    Attributes:
        band: the lowest score of a band, `NO_BAND` for those who were decided without a score.
        tail: the last five characters of a masked PAN.
    """

    status: str = ""
    client: str = ""
    tail: str = ""
    band: int | None = None

    @property
    def values(self) -> tuple[str, str, str, int | None, int | None]:
        """The first five parameters of a search; the highest score is that of the band."""
        highest = next((lowest - 1 for lowest in BANDS if self.band and lowest > self.band), HIGHEST_SCORE)
        return self.status, self.client, self.tail, self.band, highest if self.band else NO_BAND


@dataclass(frozen=True, slots=True)
class _Found:
    """What one place holds that fits: everything down to `complete_to`."""

    ids: Collection[UUID]
    complete_to: UUID

    @classmethod
    def of(cls, rows: Sequence[Any], looked_back_to: UUID) -> "_Found":
        """Of a page's worth of rows at most, the newest first; `looked_back_to` is where the place was left."""
        ids = [row[0] for row in rows]
        return cls(ids, ids[-1] if len(ids) == SHOWN_MAX else looked_back_to)


_SHOWN: Final = "id, created_at, status, loan_type, loan_amount_inr, cibil_score, pan_number_masked, client"
_FITS: Final = """
    ($1 = '' OR status = $1) AND ($2 = '' OR client = $2) AND ($3 = '' OR right(pan_number_masked, 5) = $3)
    AND ($4::int IS NULL OR cibil_score BETWEEN $4 AND $5::int
         OR ($5 = 0 AND cibil_score IS NULL AND status <> 'PENDING'))
"""
_SEARCHED: Final = "id, status, client, pan_number_masked, cibil_score"


async def newest_before(connection: Connection, key: UUID) -> Listing:
    """The newest before a key, whatever they are."""
    rows = await connection.fetch(
        f"SELECT {_SHOWN} FROM applications WHERE id < $1 ORDER BY id DESC LIMIT $2", key, SHOWN_MAX
    )
    found = [Listed(*row) for row in rows]
    return Listing(found, found[-1].id if len(found) == SHOWN_MAX else None)


async def search(connection: Connection, key: UUID, wanted: Wanted) -> Listing:
    """The newest before a key that fit, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        range_ = await connection.fetchrow("SELECT lowest, below FROM application_list_range WHERE present")
        assert range_ is not None
        lowest, below = range_
        found = [
            await _between(connection, below, key, wanted, NEWER_MAX),
            await _of_the_list(connection, key, wanted),
            await _among(connection, "undecided_below_mark", key, wanted),
            await _among(connection, "application_list_changes", key, wanted),
            await _between(connection, FIRST_ID, min(lowest, key), wanted, OLDER_MAX),
        ]
        complete_to = max(each.complete_to for each in found)
        ids = {id_ for each in found for id_ in each.ids if id_ >= complete_to}
        fitting = await _fitting(connection, ids, wanted)
    if len(fitting) == SHOWN_MAX:
        return Listing(fitting, fitting[-1].id)
    return Listing(fitting, None if complete_to == FIRST_ID else complete_to)


async def _between(connection: Connection, first: UUID, key: UUID, wanted: Wanted, most: int) -> _Found:
    """Of applications from `first` on and before `key`, walking back over `most` of them at most."""
    end = await connection.fetchval(
        "SELECT id FROM applications WHERE id >= $1 AND id < $2 ORDER BY id DESC OFFSET $3 LIMIT 1",
        first,
        key,
        most - 1,
    )
    rows = await connection.fetch(
        f"""
        SELECT id FROM applications WHERE id >= $6 AND id < $7 AND {_FITS} ORDER BY id DESC LIMIT {SHOWN_MAX}
        """,
        *wanted.values,
        end or first,
        key,
    )
    return _Found.of(rows, end or FIRST_ID)


async def _of_the_list(connection: Connection, key: UUID, wanted: Wanted) -> _Found:
    """Of the list; each combination of a status and a band is asked for its newest."""
    statuses = [status for status in DECIDED if wanted.status in ("", status)]
    bands = [band for band in (NO_BAND, *BANDS) if wanted.band in (None, band)]
    if wanted.tail:
        rows = await connection.fetch(
            f"""
            SELECT id FROM application_list
            WHERE pan_tail = $1 AND id < $2 AND status = ANY ($3) AND score_band = ANY ($4) AND $5 IN ('', client)
            ORDER BY id DESC LIMIT {SHOWN_MAX}
            """,
            wanted.tail,
            key,
            statuses,
            bands,
            wanted.client,
        )
        return _Found.of(rows, FIRST_ID)
    rows = await connection.fetch(
        f"""
        SELECT listed.id
        FROM unnest($2::text[]) AS of_status (status)
        CROSS JOIN unnest($3::smallint[]) AS of_band (score_band)
        CROSS JOIN LATERAL (
            SELECT id FROM application_list AS each
            WHERE each.status = of_status.status AND each.score_band = of_band.score_band AND id < $1
                  {"AND client = $4" if wanted.client else ""}
            ORDER BY id DESC LIMIT {SHOWN_MAX}
        ) AS listed
        ORDER BY listed.id DESC LIMIT {SHOWN_MAX}
        """,
        key,
        statuses,
        bands,
        *([wanted.client] if wanted.client else []),
    )
    return _Found.of(rows, FIRST_ID)


async def _among(connection: Connection, table: str, key: UUID, wanted: Wanted) -> _Found:
    """Of the applications that a table names by their ids, `OLDER_MAX` of its rows at most."""
    end = await connection.fetchval(
        f"SELECT application_id FROM {table} WHERE application_id < $1 ORDER BY application_id DESC OFFSET $2 LIMIT 1",
        key,
        OLDER_MAX - 1,
    )
    rows = await connection.fetch(
        f"""
        SELECT application.id
        FROM (
            SELECT DISTINCT application_id FROM {table}
            WHERE application_id >= $6 AND application_id < $7
        ) AS named
        CROSS JOIN LATERAL (SELECT {_SEARCHED} FROM applications WHERE id = application_id LIMIT 1) AS application
        WHERE {_FITS}
        ORDER BY application.id DESC LIMIT {SHOWN_MAX}
        """,
        *wanted.values,
        end or FIRST_ID,
        key,
    )
    return _Found.of(rows, end or FIRST_ID)


async def _fitting(connection: Connection, ids: Iterable[UUID], wanted: Wanted) -> list[Listed]:
    """Of these the newest that fit by what is stored now, as many as a page shows."""
    rows = await connection.fetch(
        f"SELECT {_SHOWN} FROM applications WHERE id = ANY ($6) AND {_FITS} ORDER BY id DESC LIMIT {SHOWN_MAX}",
        *wanted.values,
        list(ids),
    )
    return [Listed(*row) for row in rows]


async def found(connection: Connection, application_id: UUID) -> Listed | None:
    """One of them, as the list shows it."""
    row = await connection.fetchrow(f"SELECT {_SHOWN} FROM applications WHERE id = $1", application_id)
    return Listed(*row) if row else None


async def exists(connection: Connection, application_id: UUID) -> bool:
    """Whether there is an application of this id."""
    return await connection.fetchval("SELECT 1 FROM applications WHERE id = $1", application_id) is not None
