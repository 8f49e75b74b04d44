"""Acts: each change that a person or an operator made, written in the transaction of the change.

Invariant: an act is there exactly if its change is. It holds no PAN, no secret and no applicant's name.
"""

import json
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from prequal.postgres.connections import Connection

Detail: TypeAlias = str | int | bool | None


class ActorKind(StrEnum):
    """How an actor is known."""

    PERSON = "person"
    """Signed in: the name is of `people`."""
    OPERATOR = "operator"
    """Holds a login of the database, at a command line: the name is the machine's user, which proves nothing."""
    CLIENT = "client"
    """A client of the API: the name is its id."""
    PROCESS = "process"
    """One of the services: the name is the service's."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The one that acts; `name` has 1 to 100 characters."""

    kind: ActorKind
    name: str


def operator() -> Actor:
    """The user of this machine who runs a command, as the kernel knows it: no variable names another."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        name = f"uid {os.getuid()}"
    return Actor(ActorKind.OPERATOR, name[:100])


LOOK_SECONDS: Final = 60
"""Within them, a person that looks again at the same has looked once: a page reloads, and comes back after each act."""


async def record_look(
    connection: Connection,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
) -> None:
    """Write that `actor` looked at a subject, unless that is written for `LOOK_SECONDS`; as `record_act`."""
    is_recorded = await connection.fetchval(
        """
        SELECT true FROM acts
        WHERE subject_kind = $1 AND subject = $2 AND actor_kind = $3 AND actor = $4 AND action = $5
          AND details = $6::jsonb AND occurred_at > clock_timestamp() - make_interval(secs => $7)
        LIMIT 1
        """,
        subject_kind,
        subject,
        actor.kind,
        actor.name,
        action,
        _json(details),
        LOOK_SECONDS,
    )
    if not is_recorded:
        await record_act(connection, actor, action, subject_kind, subject, details)


async def record_act(
    connection: Connection,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
) -> None:
    """Write that `actor` did `action` to a subject, in the transaction of the change.

    Args:
        connection: has the transaction open.
        actor: taken at its word; the caller has made sure of it.
        action: what was done, in the past tense: `client_revoked`. At most 60 characters.
        subject_kind: what it was done to: `client`. At most 40 characters.
        subject: its id, at most 200 characters.
        details: flat, shown to an auditor as it is.
    """
    await connection.execute(
        """
        INSERT INTO acts (actor_kind, actor, action, subject_kind, subject, details)
        VALUES ($1, $2, $3, $4, $5, $6::jsonb)
        """,
        actor.kind,
        actor.name,
        action,
        subject_kind,
        subject,
        _json(details),
    )


def _json(details: Mapping[str, Detail] | None) -> str:
    return json.dumps(dict(details or {}), ensure_ascii=False)
