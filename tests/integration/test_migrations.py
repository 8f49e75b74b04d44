"""The database's shape: up, down, up again, on empty and on filled, alone and two at once."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from typer.testing import CliRunner

from harness.database import TABLES, Database
from harness.ports import free_port
from harness.system import run_once
from harness.waiting import eventually
from prequal.cli.app import app
from prequal.core.errors import Misconfigured, Transient
from prequal.postgres.connections import connect
from prequal.schema import migrate
from prequal.schema.retention import maintain
from prequal.schema.version import REVISION, check_schema
from tests.support.publishing import unpublished
from tests.support.submissions import stored
from tools import schema

MIGRATION_LOCK = 0x70726571
runner = CliRunner()


def revisions() -> list[str]:
    """Every migration, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return [script.revision for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))]


def shape(database: Database) -> dict[str, list[str]]:
    """Columns, constraints, indexes, triggers and functions, without the archive's days."""
    queries = {
        "columns": """
            SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line
            FROM information_schema.columns WHERE table_schema = 'public'
        """,
        "constraints": "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) AS line FROM pg_constraint",
        "indexes": "SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public'",
        "triggers": "SELECT pg_get_triggerdef(oid) || tgenabled::text AS line FROM pg_trigger WHERE NOT tgisinternal",
        "functions": "SELECT proname AS line FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    }
    found = {name: [row["line"] for row in database.rows(query.replace("%", "%%"))] for name, query in queries.items()}
    return {name: sorted(line for line in lines if "outbox_archive_" not in line) for name, lines in found.items()}


def tables(database: Database) -> set[str]:
    rows = database.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    return {row["name"] for row in rows}


@pytest.fixture
def filled(database: Database) -> Database:
    """A database at the newest revision with rows in it."""
    stored(database, 3)
    unpublished(database, 3)
    return database


def test_upgrade_of_an_empty_database_makes_every_table(empty_database: Database) -> None:
    migrate.upgrade(empty_database.url)

    assert set(TABLES) < tables(empty_database)


def test_schema_in_one_file_is_what_the_migrations_make(database: Database) -> None:
    written = (Path(migrate.__file__).parents[3] / schema.FILE).read_text(encoding="utf-8")

    assert written == schema.dump(database.url), "run `make documents`"


def test_upgrade_again_changes_nothing(filled: Database) -> None:
    before, rows = shape(filled), filled.everything()

    migrate.upgrade(filled.url)

    assert (shape(filled), filled.everything()) == (before, rows)


def test_upgrade_again_does_not_load_alembic(database: Database) -> None:
    script = (
        "import sys; sys.modules['alembic'] = None\n"
        "from prequal.schema.migrate import upgrade\n"
        f"print(upgrade({database.url!r}).after)"
    )

    again = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert again.stdout.strip() == REVISION


def test_downgrade_to_nothing_leaves_nothing(filled: Database) -> None:
    migrate.downgrade(filled.url, "base")

    assert shape(filled)["functions"] == []
    assert tables(filled) == {"alembic_version"}


@pytest.mark.parametrize("revision", ["base", *revisions()[:-1]])
def test_way_back_and_up_again_with_rows_gives_the_same_shape(filled: Database, revision: str) -> None:
    before = shape(filled)
    maintain(filled.url)

    migrate.downgrade(filled.url, revision)
    migrate.upgrade(filled.url)

    assert shape(filled) == before


def test_applications_survive_every_later_migration(empty_database: Database) -> None:
    migrate.upgrade(empty_database.url, revisions()[0])
    stored(empty_database, 3)
    before = empty_database.rows("SELECT * FROM applications ORDER BY id")

    migrate.upgrade(empty_database.url)

    after = empty_database.rows("SELECT * FROM applications ORDER BY id")
    assert [{name: row[name] for name in before[0]} for row in after] == before


def test_two_migrations_at_once_take_turns(empty_database: Database, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": empty_database.url}

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda _: run_once("migrate", settings, tmp_path), range(2)))

    assert [(each.returncode, each.stderr) for each in done] == [(0, ""), (0, "")]
    assert empty_database.value("SELECT version_num FROM alembic_version") == REVISION


async def test_check_passes_on_the_newest_revision(database: Database) -> None:
    connection = await connect(database.url, "test")
    try:
        await check_schema(connection)
    finally:
        await connection.close()


def test_database_ahead_of_the_code_is_not_migrated(database: Database) -> None:
    database.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(Misconfigured, match="newer code"):
        migrate.upgrade(database.url)


def test_unknown_revision_is_refused(database: Database) -> None:
    with pytest.raises(Misconfigured):
        migrate.upgrade(database.url, "no-such-revision")


def as_(url: str, user: str, password: str) -> str:
    """The database's address for another user."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@127.0.0.1:{parts.port}"))


def test_what_migrate_did_comes_as_json(empty_database: Database) -> None:
    environment = {"DATABASE_URL": empty_database.url}

    done = [
        json.loads(runner.invoke(app, ["migrate", "--json", *words], env=environment).output)
        for words in ([], ["--down", "base"])
    ]

    assert done == [{"from": None, "to": REVISION}, {"from": REVISION, "to": None}]


def test_what_maintain_did_comes_as_json(database: Database) -> None:
    done = runner.invoke(app, ["maintain", "--json"], env={"DATABASE_URL": database.url})

    assert json.loads(done.output)["partitions_made"] == 0


def test_way_back_without_a_database_is_out_of_reach_too() -> None:
    with pytest.raises(Transient, match="cannot be reached"):
        migrate.downgrade(f"postgresql://prequal:hunter2@127.0.0.1:{free_port()}/prequal", "0004")


@pytest.mark.parametrize("user", ["prequal", "hunter2"])
def test_wrong_password_is_one_sentence_and_exit_code_2(empty_database: Database, tmp_path: Path, user: str) -> None:
    done = run_once("migrate", {"DATABASE_URL": as_(empty_database.url, user, "hunter2")}, tmp_path)

    assert done.returncode == 2
    assert re.fullmatch(r"prequal: PostgreSQL refuses DATABASE_URL: InvalidPasswordError .*\n", done.stderr)
    assert "hunter2" not in done.stderr


def test_database_that_does_not_exist_is_one_sentence_and_exit_code_2(empty_database: Database, tmp_path: Path) -> None:
    elsewhere = urlunsplit(urlsplit(empty_database.url)._replace(path="/hunter2"))

    done = run_once("migrate", {"DATABASE_URL": elsewhere}, tmp_path)

    assert done.returncode == 2
    assert re.fullmatch(r"prequal: PostgreSQL refuses DATABASE_URL: InvalidCatalogNameError .*\n", done.stderr)
    assert "hunter2" not in done.stderr


def test_user_who_may_not_change_the_tables_learns_which_user_to_take(empty_database: Database) -> None:
    empty_database.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        with pytest.raises(Misconfigured, match="of the tables' owner"):
            migrate.upgrade(as_(empty_database.url, "guest", "guest"))
    finally:
        empty_database.execute("DROP ROLE guest")


def test_database_that_goes_away_in_the_middle_is_out_of_reach(empty_database: Database) -> None:
    with ThreadPoolExecutor(1) as threads, empty_database.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        migrating = threads.submit(migrate.upgrade, empty_database.url)
        waits = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        (waiting,) = eventually(lambda: empty_database.rows(waits))

        empty_database.value("SELECT pg_terminate_backend(%s)", waiting["pid"])

        with pytest.raises(Transient, match="migrated again"):
            migrating.result(10)
