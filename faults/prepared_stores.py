"""Stores as they are after their first start, made once a campaign and copied for each of its systems.

Invariant: a copy is of stores that were stopped in order, and that held nothing but roles, tables and empty topics.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from harness.own_system import OwnSystem
from prequal.local.data_folder import DataFolder


def copy_into(data: DataFolder) -> None:
    """Put stores and their logins into a data folder that has none; to make them takes 6 s of CPU, to copy them none.

    Raises:
        Misconfigured, Transient: they could not be made.
    """
    prepared = _prepared()
    for store in (prepared.postgres, prepared.kafka):
        shutil.copytree(store, data.path / store.name)
    shutil.copy2(prepared.logins, data.logins)


@functools.cache
def _prepared() -> DataFolder:
    folder = Path(tempfile.mkdtemp(prefix="prequal-stores-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    system = OwnSystem(folder)
    try:
        system.start_stores()
    finally:
        system.stop()
    return system.data
