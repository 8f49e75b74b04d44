"""Entries of the record, written, chained, verified and changed, and `prequal audit` on a database of a test's."""

from typing import Any, LiteralString

from pydantic import SecretStr
from typer.testing import CliRunner, Result

from harness.database import Database
from harness.system import PAN_HASH_KEY
from prequal.cli.app import app
from prequal.core.settings import load
from prequal.core.settings.record import RecordSettings
from prequal.record import commands
from prequal.record.verification import Verdict

RECORD_KEY = "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8="
APPLICATION = "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44"
WRITTEN = "INSERT INTO audit_log (application_id, service, action) VALUES (%s, 'credit-service', 'READ')"
ACT = """
    INSERT INTO acts (actor_kind, actor, action, subject_kind, subject, details)
    VALUES ('person', 'asha', 'policy_approved', 'policy', 'v2', '{"reason": "naïve \\u0001"}')
"""
runner = CliRunner()


def settings_of(database: Database, key: str = RECORD_KEY, retired: str = "") -> RecordSettings:
    return load(
        RecordSettings, database_url=database.url, record_key=SecretStr(key), record_keys_retired=SecretStr(retired)
    )


def written(database: Database, entries: int = 4) -> None:
    with database.connect() as connection:
        for _ in range(entries):
            connection.execute(WRITTEN, (APPLICATION,))
            connection.execute(ACT)
        connection.commit()


def chained(database: Database) -> int:
    """Chain everything; the number of blocks."""
    newest = commands.chain(settings_of(database))
    return newest.number if newest else 0


def verified(database: Database, head: Any = None) -> Verdict:
    return commands.verify(settings_of(database), head)


def by_a_superuser(database: Database, *statements: LiteralString) -> None:
    """Change the record as only its owner can: with its triggers off."""
    with database.connect() as connection:
        for table in (b"audit_log", b"acts"):
            connection.execute(b"ALTER TABLE " + table + b" DISABLE TRIGGER ALL")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def run(database: Database, *words: str, typed: str = "", **settings: str) -> Result:
    environment = {"DATABASE_URL": database.url, "RECORD_KEY": RECORD_KEY, "PAN_HASH_KEY": PAN_HASH_KEY} | settings
    return runner.invoke(app, ["audit", *words], env=environment, input=typed)
