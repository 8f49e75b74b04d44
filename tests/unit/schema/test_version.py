from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from prequal.schema import migrate
from prequal.schema.version import REVISION


@pytest.fixture(scope="module")
def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def test_the_code_expects_the_newest_migration(scripts: ScriptDirectory) -> None:
    assert scripts.get_heads() == [REVISION]


def test_migrations_stand_in_one_line_with_rising_names(scripts: ScriptDirectory) -> None:
    revisions = [script.revision for script in scripts.walk_revisions()]

    assert revisions == sorted(revisions, reverse=True)
    assert all(len(script.nextrev) <= 1 for script in scripts.walk_revisions())


def test_every_migration_says_why_and_has_its_way_back(scripts: ScriptDirectory) -> None:
    for script in scripts.walk_revisions():
        assert script.doc
        assert callable(script.module.upgrade)
        assert callable(script.module.downgrade)
