"""Stores of a test's own, which end with it."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import psutil

from harness.ports import free_ports
from prequal.local.child_process import Child
from prequal.local.kafka import Kafka
from prequal.local.postgres import Postgres

C = TypeVar("C", bound=Child)

MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 4 * 1024**3


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder that lasts as long as the block: in memory, or on the disk where the machine has no such room.

    A database is a copy of 500 files, which on a disk costs the kernel three times as much.
    """
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM_BYTES
    with TemporaryDirectory(prefix="prequal-", dir=MEMORY if has_room else None) as folder:
        yield Path(folder)


@contextmanager
def started(store: C) -> Iterator[C]:
    """Run a store for as long as the block lasts; it ends also when it did not start."""
    try:
        store.start()
        yield store
    finally:
        store.stop_for_good()


@contextmanager
def a_postgres() -> Iterator[Postgres]:
    """A PostgreSQL on a free port, with its data in memory if there is room, for as long as the block lasts."""
    with folder_in_memory() as folder, started(Postgres(folder / "data", *free_ports(1))) as server:
        yield server


@contextmanager
def a_kafka() -> Iterator[Kafka]:
    """A Kafka on free ports, likewise: a broker whose disk stalls for two seconds loses its partitions for a while."""
    with folder_in_memory() as folder, started(Kafka(folder / "data", *free_ports(2))) as node:
        yield node


@contextmanager
def frozen(store: Child) -> Iterator[None]:
    """Stop a store in its tracks, its backends too, for as long as the block lasts."""
    try:
        send_family(store, signal.SIGSTOP)
        yield
    finally:
        send_family(store, signal.SIGCONT)


def send_family(child: Child, number: signal.Signals) -> None:
    """Send a signal to a child and to the processes that it has begun."""
    worker = psutil.Process(child.pid)
    for process in (worker, *worker.children(recursive=True)):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
