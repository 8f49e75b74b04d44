"""Migrations and upkeep beside a backup that takes long: a real pg_dump into a pipe that is not read."""

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.backup import Dump, trial_step
from harness.database import Database
from harness.waiting import Stopwatch, eventually
from prequal.core.errors import Transient
from prequal.postgres import locks
from prequal.schema import retention
from prequal.schema.migrate import downgrade, upgrade
from prequal.schema.retention import maintain
from prequal.schema.version import REVISION

WRITE_SECONDS = 10.0
"""Four times as long as a service waits for a write, for a busy machine; a migration without a bound would hold writes
up until the dump is over, which waits for three tries."""
PARTITIONS = """
    SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent = 'outbox_archive'::regclass AND NOT inhdetachpending
"""


@pytest.fixture
def dump(database: Database) -> Iterator[Dump]:
    database.execute(
        "CREATE TABLE outbox_archive_20200101 PARTITION OF outbox_archive "
        "FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"
    )
    dump = Dump(database)
    yield dump
    dump.finish()


def longest_write(database: Database, stop: threading.Event) -> float:
    """The longest time in seconds that a write of a service took until `stop`."""
    longest = 0.0
    own = Database(database.url)
    while not stop.is_set():
        watch = Stopwatch()
        own.execute("INSERT INTO applications SELECT * FROM applications WHERE false")
        own.execute("SELECT count(*) FROM outbox_archive WHERE application_id = gen_random_uuid()")
        longest = max(longest, watch.seconds)
        stop.wait(0.01)
    own.close()
    return longest


def beside_the_dump(database: Database, dump: Dump, act: Callable[[], object], logged: Callable[[], bool]) -> float:
    """Run `act` while the dump runs and until it has met its locks; the longest write meanwhile, in seconds."""
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        writes, acting = threads.submit(longest_write, database, stop), threads.submit(act)
        try:
            eventually(logged)
            assert not acting.done()
        finally:  # or both would wait for ever
            stop.set()
            finished = dump.finish()
        longest = writes.result()
        assert finished == 0
        acting.result(60)
    return longest


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The holders that were named before each further try."""
    named: list[str] = []
    working = locks.LockRetries.next_pause

    def next_pause(self: locks.LockRetries, holder: str) -> float:
        named.append(holder)
        return min(working(self, holder), 0.5)

    monkeypatch.setattr(locks.LockRetries, "next_pause", next_pause)
    return named


@pytest.mark.parametrize("way", ["up", "down"])
def test_migration_beside_a_dump_holds_up_no_write_and_ends_after_it(
    way: str, database: Database, tries: list[str], tmp_path: Path
) -> None:
    with trial_step(tmp_path / "steps"):
        if way == "down":
            upgrade(database.url)
        dump = Dump(database)
        act = functools.partial(upgrade, database.url) if way == "up" else lambda: downgrade(database.url, "-1")
        longest = beside_the_dump(database, dump, act, lambda: len(tries) >= 3)

    assert longest < WRITE_SECONDS
    assert all(holder.startswith("`pg_dump` (user prequal, pid ") for holder in tries)
    assert database.value("SELECT version_num FROM alembic_version") == ("trial" if way == "up" else REVISION)


def test_maintenance_beside_a_dump_holds_up_no_write_and_ends_after_it(
    database: Database, dump: Dump, tries: list[str]
) -> None:
    longest = beside_the_dump(database, dump, lambda: maintain(database.url), lambda: len(tries) >= 3)

    assert longest < WRITE_SECONDS
    assert database.value("SELECT to_regclass('outbox_archive_20200101') IS NULL")


def test_partition_is_made_and_an_old_one_detached_beside_a_dump(
    database: Database, dump: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0)
    monkeypatch.setattr(retention, "DAYS_AHEAD", retention.DAYS_AHEAD + 1)
    before = {row["name"] for row in database.rows(PARTITIONS)}

    with pytest.raises(Transient):  # the dump reads the old one
        maintain(database.url)

    after = {row["name"] for row in database.rows(PARTITIONS)}
    assert before - after == {"outbox_archive_20200101"}
    assert len(after - before) == 1


def test_lock_that_is_never_released_ends_in_a_sentence_that_names_its_holder(
    database: Database, dump: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0)

    with pytest.raises(Transient, match=r"is of `pg_dump` \(user prequal, pid \d+, for \d+ s\)"):
        downgrade(database.url, "base")


def test_detachment_that_was_given_up_is_finished_by_the_next_run(
    database: Database, dump: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0)
    with pytest.raises(Transient, match="run again"):
        maintain(database.url)
    dump.finish()

    assert maintain(database.url).partitions_dropped == 1
    assert database.value("SELECT to_regclass('outbox_archive_20200101') IS NULL")
