"""The database's roles: made for the whole server, with logins for the processes, and granted what `grants` says.

Invariant: running it again changes nothing, and takes away what no cell of the grid names; a password never travels.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from prequal.core.blocking import blocking
from prequal.core.errors import Misconfigured
from prequal.postgres.connections import Connection, connected
from prequal.schema.grants import GRANTS, MEMBER_OF, Role

ROLES_LOCK: Final = 0x70726F6C  # "prol"
SESSION: Final = {"statement_timeout": "60000", "lock_timeout": "30000"}
COMMAND_SECONDS: Final = 65.0
SCRAM_ITERATIONS: Final = 4096
"""PostgreSQL's own default (`scram_iterations`)."""


def make(database_url: str, passwords: Mapping[Role, str]) -> None:
    """Make the roles that are missing, and a login with each given password; grant what the migrated tables allow.

    Roles belong to the server, grants to the database of the address.

    Raises:
        Misconfigured: the address is wrong, or its user may not make roles and they are not there.
        Transient: the database cannot be reached, or failed.
    """
    _make(database_url, passwords)


def grant(database_url: str) -> None:
    """Grant what the grid names, and nothing else, on the tables that are there, to the roles that are there.

    Raises:
        Misconfigured: the address is wrong, or its user does not own the tables.
        Transient: the database cannot be reached, or failed.
    """
    _make(database_url, None)


def statements() -> list[str]:
    """SQL that makes the roles that are missing, for who runs it by hand."""
    return [*map(_role, Role), *(_membership(role, of) for role, of in MEMBER_OF.items())]


@blocking
async def _make(database_url: str, passwords: Mapping[Role, str] | None) -> None:
    async with _locked(database_url) as connection:
        if passwords is not None:
            for statement in (*statements(), *map(_login, passwords, passwords.values())):
                await connection.execute(statement)
        for statement in await _grants(connection):
            await connection.execute(statement)


@asynccontextmanager
async def _locked(database_url: str) -> AsyncIterator[Connection]:
    """A transaction that no other one of this kind runs beside."""
    async with connected(database_url, "roles", SESSION, COMMAND_SECONDS) as connection:
        try:
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({ROLES_LOCK})")
                yield connection
        except asyncpg.InsufficientPrivilegeError:
            raise Misconfigured(
                "This user may not make roles, or does not own the tables: set DATABASE_URL of one who may, or have "
                "the statements that `prequal roles --sql` prints run by one."
            ) from None


async def _grants(connection: Connection) -> list[str]:
    """The statements for the tables and the roles that are there."""
    found = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[])", list(Role))
    roles = [Role(row[0]) for row in found]
    tables = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL", list(GRANTS)
    )
    if not roles or not tables:
        return []
    schema = await connection.fetchval("SELECT quote_ident(current_schema())")
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    everyone = ", ".join(sorted(roles))
    return [
        f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {schema} TO {everyone}",
        *(statement for (table,) in tables for statement in _of_table(table, roles)),
    ]


def _of_table(table: str, roles: Iterable[Role]) -> Iterable[str]:
    """Everything is taken away first, in the same transaction: nobody sees the moment between."""
    yield f"REVOKE ALL ON {table} FROM PUBLIC, {', '.join(sorted(roles))}"
    for role in roles:
        if cell := GRANTS[table].get(role):
            yield f"GRANT {cell} ON {table} TO {role}"


def _role(role: str) -> str:
    """Two databases of one server have no lock in common: who comes second finds the role there."""
    return f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$""".strip()


def _membership(role: Role, of: str) -> str:
    return f"""
DO $$ BEGIN
    IF NOT pg_has_role('{role}', '{of}', 'MEMBER') THEN
        GRANT {of} TO {role};
    END IF;
END $$""".strip()


def _login(role: Role, password: str) -> str:
    """A member of the role that may log in, with this password from now on."""
    return f"""
{_role(role.login)};
ALTER ROLE {role.login} LOGIN PASSWORD '{_verifier(password)}';
GRANT {role} TO {role.login}""".strip()


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that the password stands in no statement and no log of it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(each).decode() for each in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
