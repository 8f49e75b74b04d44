"""The database's shape, step by step and back again.

Neighbours: `prequal migrate` and the tests call `upgrade` and `downgrade`; `kernel.schema` names the newest step.
Invariant: two processes that migrate at once take turns (an advisory lock in `env.py`).
"""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from prequal.kernel.errors import Misconfigured
from prequal.kernel.maintenance import maintain


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`, and at the newest make the archive's partitions for the days ahead.

    Raises:
        Misconfigured: the database is at a revision that this code does not know, or `revision` does not exist.
    """
    _run(command.upgrade, database_url, revision)
    if revision == "head":
        maintain(database_url)


def downgrade(database_url: str, revision: str) -> None:
    """Take the database back to `revision` (`base` for empty, `-1` for one step). Data of later steps are lost.

    Raises:
        Misconfigured: as for `upgrade`.
    """
    _run(command.downgrade, database_url, revision)


def _run(step: Callable[[Config, str], None], database_url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["database_url"] = database_url
    try:
        step(config, revision)
    except CommandError as error:
        raise Misconfigured(
            f"The database cannot be migrated ({error}): if it was migrated by newer code, run that code instead."
        ) from error
