"""Ids of ours: UUIDs in the class in which asyncpg reads and writes them.

It is a `uuid.UUID` whose text, bytes and hash are made in C. An application's id is written as text some eight times on
its way, at 0.05 µs each instead of 0.4.
"""

from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto


def new_id() -> UUID:
    """A UUID of version 7 (RFC 9562): those of one process ascend."""
    return _of(uuid_utils.uuid7())


def new_text() -> str:
    """The text of a new UUID of version 7, for ids that are text everywhere."""
    return str(uuid_utils.uuid7())


def named_id(namespace: uuid_utils.UUID, name: str) -> UUID:
    """The UUID of version 5 of this name."""
    return _of(uuid_utils.uuid5(namespace, name))


def read_id(text: object) -> object:
    """The UUID of a text in its usual spelling; anything else as it is: what is wrong with it is said elsewhere."""
    if isinstance(text, str):
        try:
            found: UUID = pgproto.UUID(text)
        except ValueError:
            return text
        if str(found) == text:
            return found
    return text


def _of(made: uuid_utils.UUID) -> UUID:
    found: UUID = pgproto.UUID(made.bytes)
    return found
