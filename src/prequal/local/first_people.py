"""A person of each role on this machine, so that one can look at the console at once.

Invariant: a password is written to no file but `people.txt`, which only its owner may read; where others are, nobody is
added.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from prequal.core import files
from prequal.domain.person import PersonRole
from prequal.people import administration
from prequal.people.administration import NewSecrets
from prequal.postgres.connections import Connection
from prequal.record.acts import operator
from prequal.schema.version import run_at_revision

USERS: Final = "users"


def make_first_people(database_url: str, file: Path) -> bool:
    """Make a person of each role, named like it, with a password in `file`; whether there is such a file.

    Raises:
        Transient: the database does not answer.
    """
    known = {person.name for person in run_at_revision(database_url, USERS, administration.list_all)}
    missing = [role for role in PersonRole if role not in known]
    if missing and known <= set(PersonRole):
        new = {role: NewSecrets.of(None, totp=False) for role in missing}
        added = [f"{role} {secrets.password}" for role, secrets in new.items()]
        files.write(file, "".join(f"{line}\n" for line in [*_lines_of(file, known), *added]))
        run_at_revision(database_url, USERS, lambda connection: _add(connection, new))
    return file.exists()


def _lines_of(file: Path, known: Collection[str]) -> list[str]:
    """Those of people who are there: a start that was killed may have left a password of one who is not."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [line for line in lines if line.partition(" ")[0] in known]


async def _add(connection: Connection, new: Mapping[PersonRole, NewSecrets]) -> None:
    for role, secrets in new.items():
        await administration.add(connection, operator(), role, [role], secrets)
