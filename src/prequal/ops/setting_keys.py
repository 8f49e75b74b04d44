"""The keys of reports, of the record and of second factors: which there are, what needs each, and how one is retired.

Invariant: such a key is retired only when nothing is left that it verifies or decrypts.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prequal.core.blocking import blocking
from prequal.core.errors import Invalid, Refused
from prequal.core.keys import key_id
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.report_mac import ReportMac
from prequal.ops import key_queries
from prequal.ops.key_retirement import (
    COMMAND_SECONDS,
    SESSION,
    WRITE_SECONDS_MAX,
    ListedKey,
    listed,
    others_in_use,
    require_unneeded,
)
from prequal.people.queries import second_factors
from prequal.people.second_factor_keys import key_id_of
from prequal.postgres import key_checks
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, record_act
from prequal.schema.version import connected_at_revision

Needs = Mapping[bytes, Mapping[str, int]]
"""For each key, by its id, how many of what need it; keys without any are left out."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a key is for.

    Attributes:
        needs: what needs each of these keys now; with a time, of what is found by age only what was written since.
        old: the state of one that another took the place of.
        way_out: what a person does about what still needs a key.
        only_with_key: whether only a holder of the key knows what needs it.
    """

    needs: Callable[[Connection, Sequence[bytes], datetime | None], Awaitable[Needs]]
    old: str
    way_out: str
    only_with_key: bool = False


async def _reports(connection: Connection, keys: Sequence[bytes], written_after: datetime | None) -> Needs:
    macs = {key_id(key): ReportMac(key) for key in keys}
    found: dict[bytes, set[str]] = {}
    for payload in await key_queries.undecided_reports(connection, written_after):
        try:
            report = CreditReportGenerated.decode(payload.encode())
        except Invalid:
            continue  # no key makes it good
        for id_, mac in macs.items():
            if mac.is_valid(report.report_mac, report.facts):
                found.setdefault(id_, set()).add(str(report.application_id))
    return {id_: {"undecided applications": len(applications)} for id_, applications in found.items()}


async def _record(connection: Connection, _: Sequence[bytes], written_after: datetime | None) -> Needs:
    blocks = await key_queries.blocks_by_key(connection, written_after)
    needs = {id_: {"record_blocks": count} for id_, count in blocks.items()}
    if (sealed := await key_queries.key_of_seal(connection)) is not None:
        needs[sealed] = needs.get(sealed, {}) | {"record_seals": 1}
    return needs


async def _people(connection: Connection, _: Sequence[bytes], __: datetime | None) -> Needs:
    stored = (await second_factors(connection)).values()
    counts = Counter(id_ for id_ in map(key_id_of, stored) if id_ is not None)
    return {id_: {"people": count} for id_, count in counts.items()}


PURPOSES: Final[Mapping[str, Purpose]] = {
    "REPORT_KEY": Purpose(
        _reports,
        "verifies",
        "It signed their reports: wait until they are decided, or look at what holds them up (`prequal dlq list`).",
        only_with_key=True,
    ),
    "RECORD_KEY": Purpose(
        _record, "verifies", "`prequal audit export` and `prequal audit drop` let old blocks leave the database."
    ),
    "PEOPLE_KEY": Purpose(
        _people, "decrypts", "A start of the console with both keys encrypts second factors under the active one."
    ),
}


@blocking
async def list_keys(database_url: str, purpose: str, keys: Sequence[bytes]) -> list[ListedKey]:
    """Every key of a purpose that the database knows, retired ones too, the oldest first.

    `keys` are those here, the active one first.

    Raises:
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
    """
    here = [key_id(key) for key in keys]
    async with connected_at_revision(database_url, "keys", SESSION, COMMAND_SECONDS) as connection:
        async with connection.transaction():
            known = await key_checks.recorded(connection, purpose)
            needs = await PURPOSES[purpose].needs(connection, keys, None)
        return [
            listed(id_, key, here, PURPOSES[purpose].old, _needed_by(purpose, id_, here, needs))
            for id_, key in known.items()
        ]


@blocking
async def retire(database_url: str, actor: Actor, purpose: str, id_: bytes, keys: Sequence[bytes]) -> None:
    """Take a key out of use: no process starts with it as its own any more; and record that `actor` did so.

    `keys` are those here, the active one first.

    Raises:
        Refused: it is active or the only one, something needs it, or that cannot be known; nothing is changed.
        Misconfigured, Transient: as for `list_keys`.
    """
    here = [key_id(key) for key in keys]
    if here[0] == id_:
        raise Refused(f"Key {id_.hex()} is the active one: `prequal keys rotate {purpose}` first.")
    async with connected_at_revision(database_url, "keys", SESSION, COMMAND_SECONDS) as connection:
        await others_in_use(connection, purpose, id_)
        if PURPOSES[purpose].only_with_key and id_ not in here:
            raise Refused(
                f"Key {id_.hex()} is not here, and without it nobody knows what it signed: add it to "
                f"{purpose}S_RETIRED of this command."
            )
        began: datetime = await connection.fetchval("SELECT now()")
        await _require_no_need(connection, purpose, id_, keys)
        async with connection.transaction():
            # Each write checks its key: none is under way while this is held, and each later one sees that the key is
            # retired. So only what was written since the first look can be new.
            await key_checks.hold_checks_off(connection)
            await others_in_use(connection, purpose, id_)
            await _require_no_need(connection, purpose, id_, keys, began - WRITE_SECONDS_MAX)
            await key_checks.retire(connection, purpose, id_)
            await record_act(connection, actor, "key_retired", "key", id_.hex(), {"purpose": purpose})


async def _require_no_need(
    connection: Connection, purpose: str, id_: bytes, keys: Sequence[bytes], written_after: datetime | None = None
) -> None:
    needs = await PURPOSES[purpose].needs(connection, keys, written_after)
    require_unneeded(id_, needs.get(id_, {}), PURPOSES[purpose].way_out)


def _needed_by(purpose: str, id_: bytes, here: Sequence[bytes], needs: Needs) -> Mapping[str, int] | None:
    return needs.get(id_, {}) if id_ in here or not PURPOSES[purpose].only_with_key else None
