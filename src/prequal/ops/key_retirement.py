"""Takes a key out of use for good, once nothing is left that it encrypted.

Invariant: no key is retired while a row, a message or a dead letter holds a token of it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from prequal.core.blocking import blocking
from prequal.core.errors import Refused
from prequal.core.settings import KafkaSettings, RingAndTopicsSettings
from prequal.core.topology import dead_letter_topic, topic_of
from prequal.domain.application import FIRST_ID
from prequal.domain.events import EventType
from prequal.ops import key_queries
from prequal.ops.encryption_keys import PURPOSE, make_unknown
from prequal.ops.topic_reader import read_topics
from prequal.postgres import key_checks
from prequal.postgres.connections import FREE_PLANNER, Connection
from prequal.postgres.key_checks import RecordedKey
from prequal.record.acts import Actor
from prequal.schema.version import connected_at_revision
from prequal.security import key_file, key_providers
from prequal.security.pan_encryption import VERSION

DRAWS: Final = "SCORE_DRAW_KEY"
BATCH: Final = 10_000
WRITE_SECONDS_MAX: Final = timedelta(minutes=1)
"""Much longer than a write under a key may take."""
COMMAND_SECONDS: Final = 600.0
_WAY_OUT: Final = "`prequal keys reencrypt` renews applications; the others run out."
SESSION: Final = FREE_PLANNER | {"statement_timeout": str(int(COMMAND_SECONDS * 1000) - 500)}


def holders(database_url: str, kafka: KafkaSettings, key_id: bytes) -> dict[str, int]:
    """Where tokens of a key are, tables and topics, and how many; places without any are left out.

    Raises:
        Misconfigured: the database is not migrated, or a topic is missing.
        Transient: the database or Kafka does not answer.
    """
    text = _beginning(key_id)
    found = _in_tables_of(database_url, key_id) | _in_topics(kafka, text)
    return {place: count for place, count in found.items() if count}


@dataclass(frozen=True, slots=True)
class ListedKey:
    """What may be shown of one key; `needed_by` counts what needs it, and is None where only a holder could know."""

    key_id: str
    state: str
    recorded_at: datetime
    retired_at: datetime | None
    needed_by: Mapping[str, int] | None


def retire(actor: Actor, settings: RingAndTopicsSettings, key_id: bytes) -> None:
    """Take a key that is not active off the ring's file, and make it unknown: no process starts with it any more.

    Raises:
        Refused: something still holds a token of it, or got one meanwhile; nothing is changed.
        Misconfigured, Transient: as for `holders`, and for the key services that the file names.
    """
    require_unneeded(key_id, holders(settings.database_url, settings, key_id), _WAY_OUT)
    _end_use(settings.database_url, key_id)
    if settings.encryption_key_file:
        file = Path(settings.encryption_key_file)
        key_file.write(file, key_providers.without(key_file.read(file), key_id, settings))
    make_unknown(settings.database_url, actor, key_id)


@blocking
async def purpose_of(database_url: str, key_id: bytes) -> str | None:
    """For what the database knows a key, by its id, as its setting's name; None when it does not.

    Raises:
        Refused: it draws scores, and is not retired.
        Misconfigured, Transient: as for `holders`.
    """
    async with connected_at_revision(database_url, "keys") as connection:
        found = await key_checks.purposes_of(connection, key_id)
    purposes = [each for each in found if each != DRAWS]
    if found and not purposes:
        raise Refused(f"Key {key_id.hex()} is the {DRAWS}, which is not retired: with another, scores would change.")
    return purposes[0] if purposes else None


async def others_in_use(connection: Connection, purpose: str, key_id: bytes) -> list[bytes]:
    """The ids of the keys of a purpose that are in use beside this one, the oldest first.

    Raises:
        Refused: it is retired, or the only one.
    """
    living = [id_ for id_, key in (await key_checks.recorded(connection, purpose)).items() if key.retired_at is None]
    if key_id not in living:
        raise Refused(f"Key {key_id.hex()} is retired already.")
    if len(living) == 1:
        raise Refused(f"Key {key_id.hex()} is the only one: `prequal keys rotate {purpose}` first.")
    return [each for each in living if each != key_id]


def require_unneeded(key_id: bytes, needed: Mapping[str, int], way_out: str) -> None:
    """Raise `Refused`, with what a person does about it, while anything needs a key."""
    if needed:
        places = ", ".join(f"{place} {count}" for place, count in needed.items())
        raise Refused(f"Key {key_id.hex()} is in use: {places}. {way_out}")


def listed(
    key_id: bytes, key: RecordedKey, here: Sequence[bytes], old: str, needed: Mapping[str, int] | None
) -> ListedKey:
    """One key as it is listed; of the ids `here` the first is the active one's, and the others' state is `old`."""
    state = "retired" if key.retired_at else "not here"
    if not key.retired_at and key_id in here:
        state = "active" if key_id == here[0] else old
    return ListedKey(key_id.hex(), state, key.recorded_at, key.retired_at, needed)


@blocking
async def _end_use(database_url: str, key_id: bytes) -> None:
    """Write that the key is out of use, and look once more: what was under way at the first look is to be seen now.

    Each write of a token checks its key in its transaction, so nothing more comes under this one. Ended in the middle,
    it is to be begun again.

    Raises:
        Refused: a table holds a token of it, and the key is in use as before.
    """
    async with connected_at_revision(database_url, "keys", SESSION, COMMAND_SECONDS) as connection:
        async with connection.transaction():
            await key_checks.hold_checks_off(connection)
            await key_checks.retire(connection, PURPOSE, key_id)
        held = {place: count for place, count in (await _in_tables(connection, key_id)).items() if count}
        if held:
            await key_checks.take_back(connection, PURPOSE, key_id)
        require_unneeded(key_id, held, _WAY_OUT)


@blocking
async def _in_tables_of(database_url: str, key_id: bytes) -> dict[str, int]:
    async with connected_at_revision(database_url, "keys", SESSION, COMMAND_SECONDS) as connection:
        return await _in_tables(connection, key_id)


async def _in_tables(connection: Connection, key_id: bytes) -> dict[str, int]:
    text = _beginning(key_id).decode()
    found = {"applications": await _in_applications(connection, key_id)}
    return found | {
        table: await key_queries.events_under(connection, table, text) for table in key_queries.OUTBOX_TABLES
    }


def _beginning(key_id: bytes) -> bytes:
    """How each token of a key begins, as base64."""
    return base64.b64encode(VERSION + key_id)


async def _in_applications(connection: Connection, key_id: bytes) -> int:
    total, after = 0, FIRST_ID
    while True:
        last, count = await key_queries.applications_under(connection, key_id, after, BATCH)
        if last is None:
            return total
        total, after = total + count, last


def _in_topics(kafka: KafkaSettings, text: bytes) -> dict[str, int]:
    submitted = topic_of(EventType.APPLICATION_SUBMITTED)
    found = dict.fromkeys((submitted, dead_letter_topic(submitted)), 0)
    for message in read_topics(kafka, list(found)):
        found[message.topic() or ""] += text in (message.value() or b"")
    return found
