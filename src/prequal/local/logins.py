"""The processes' logins to a PostgreSQL of our own, with passwords drawn once for its data folder.

Invariant: a password is written to no file but `logins.json`, which only its owner may read.
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from prequal.core import files
from prequal.core.topology import COMMANDS
from prequal.schema.grants import Role

OF_COMMAND: Mapping[str, Role] = {command: Role(f"prequal_{command}") for command in COMMANDS}
"""The role of each service."""


class Logins:
    """A login for each role, in a file beside the database."""

    def __init__(self, file: Path) -> None:
        """Read the passwords, or draw them; a file that cannot be read is replaced, and with it the passwords."""
        try:
            self._passwords = {Role(name): str(word) for name, word in json.loads(file.read_text()).items()}
        except (OSError, ValueError, AttributeError):
            self._passwords = {}
        if missing := [role for role in Role if not self._passwords.get(role)]:
            self._passwords |= {role: secrets.token_urlsafe(24) for role in missing}
            files.write(file, json.dumps(self._passwords, indent=2) + "\n")

    def make(self, database_url: str) -> None:
        """Make roles and logins on the server of this address, which is a superuser's.

        Raises:
            Transient: the database does not answer.
        """
        from prequal.schema import roles

        roles.make(database_url, self._passwords)

    def database_url(self, command: str, of_owner: str) -> str:
        """The owner's address for the service of this command; unchanged for a command without a role."""
        role = OF_COMMAND.get(command)
        return of_owner if role is None else as_login(of_owner, role, self._passwords[role])


def as_login(database_url: str, role: Role, password: str) -> str:
    """An address, with the role's login in the place of its user."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"{role.login}:{password}@{parts.netloc.rpartition('@')[2]}"))
