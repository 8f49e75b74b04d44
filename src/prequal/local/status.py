"""The facts behind `prequal status`: processes, backlogs and decisions.

Invariant: it only reads: nothing is joined, consumed or locked, and every answer is waited for a few seconds at most.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from prequal.core import python_build
from prequal.core.errors import Misconfigured
from prequal.core.settings import KafkaSettings, load
from prequal.local import kafka, postgres, queries
from prequal.local.data_folder import DataFolder
from prequal.local.run_file import RunFile, read
from prequal.local.services import is_ready
from prequal.local.settings import UpSettings
from prequal.messaging import outbox
from prequal.postgres import undecided
from prequal.postgres.connections import FREE_PLANNER, Connection, connected

if TYPE_CHECKING:
    from prequal.messaging.consumer_lag import Held

SECONDS: Final = 5.0
SESSION: Final = FREE_PLANNER | {"statement_timeout": str(int(SECONDS * 1000) - 500)}
EXACT_BYTES_MAX: Final = 64 * 2**20
"""Up to this size, some 150,000 applications, they are counted; a count of more would take seconds."""
COUNTED_MAX: Final = 100_000
"""What waits is counted up to this number."""

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessState:
    """A process of `prequal up`, and whether it is ready."""

    name: str
    pid: int
    port: int
    ready: bool


@dataclass(frozen=True)
class DatabaseFacts:
    """Counts of the tables: waiting events up to `COUNTED_MAX`, the applications of a large table estimated."""

    outbox_waiting: int
    outbox_parked: int
    resolved_dead_letters: int | None
    """Those that their topics still hold; None where Kafka does not say what they hold."""
    applications: dict[str, int]
    applications_exact: bool
    decisions_last_minute: int


@dataclass(frozen=True)
class Overview:
    """Everything on the screen; None where a store does not answer."""

    processes: list[ProcessState]
    database: DatabaseFacts | None
    consumer_lag: dict[str, int] | None
    dead_letters: int | None
    problems: list[str] = field(default_factory=list)
    python: str = field(default_factory=python_build.version)
    python_is_optimized: bool = field(default_factory=python_build.is_optimized)

    @property
    def is_healthy(self) -> bool:
        """Whether every store answers and every process is ready."""
        return not self.problems and all(process.ready for process in self.processes)


def collect(settings: UpSettings) -> Overview:
    """Ask every process and store once.

    Raises:
        Misconfigured: nothing runs in the data folder, and the settings name no other stores.
    """
    running = read(DataFolder(settings.prequal_data_dir).run_file) or _stores_of_settings(settings)
    problems: list[str] = []
    with ThreadPoolExecutor(len(running.processes) or 1) as threads:
        processes = list(threads.map(lambda process: _state(running, process), running.processes))
    lag, held = _answer_of("Kafka", lambda: _broker_facts(running, settings), problems) or (None, None)
    database = _answer_of("PostgreSQL", lambda: asyncio.run(database_facts(running.database_url, held)), problems)
    resolved = database.resolved_dead_letters if database else None
    stored = None if held is None else sum(high - low for low, high in held.spans.values())
    return Overview(
        processes=processes,
        database=database,
        consumer_lag=lag,
        dead_letters=None if stored is None or resolved is None else stored - resolved,
        problems=problems,
    )


async def database_facts(database_url: str, held: "Held | None" = None) -> DatabaseFacts:
    """Count what waits and what was decided, in a time that does not grow with the tables.

    Args:
        database_url: whose tables are counted.
        held: what the dead-letter topics hold, of which the resolved ones are counted.

    Raises:
        ReadOnlyServer: no host of the address takes writes: a standby may hold an old copy.
        Transient: the database cannot be reached, or failed.
        Misconfigured: the address or the password is wrong.
    """
    async with connected(database_url, "status", SESSION, SECONDS) as connection:
        exact = await queries.applications_bytes(connection) <= EXACT_BYTES_MAX
        waiting = (await outbox.waiting(connection, COUNTED_MAX)).values()
        return DatabaseFacts(
            outbox_waiting=min(sum(each.events for each in waiting), COUNTED_MAX),
            outbox_parked=min(sum(each.parked for each in waiting), COUNTED_MAX),
            resolved_dead_letters=None if held is None else await queries.resolved_dead_letters(connection, held),
            applications=await (queries.applications_by_status(connection) if exact else _estimated(connection)),
            applications_exact=exact,
            decisions_last_minute=await queries.decisions_last_minute(connection),
        )


async def _estimated(connection: Connection) -> dict[str, int]:
    """The undecided are counted by themselves, the others estimated by the last ANALYZE: a count would read all."""
    await connection.execute("SET enable_seqscan = off")
    pending = (await undecided.waiting(connection, COUNTED_MAX)).applications
    return {"PENDING": pending, **await queries.estimated_decided_by_status(connection)}


def _broker_facts(running: RunFile, settings: UpSettings) -> "tuple[dict[str, int], Held]":
    """The lag of each consumer group, and what the dead-letter topics hold."""
    from prequal.messaging import consumer_lag

    client = load(KafkaSettings, kafka_bootstrap_servers=running.kafka_bootstrap_servers, **settings.of_own_broker)
    with closing(consumer_lag.Offsets(client)) as offsets:
        return offsets.by_group(), offsets.dead_letters_held()


def _state(running: RunFile, name: str) -> ProcessState:
    """The stores are asked a question: a frozen one still accepts connections."""
    process = running.processes[name]
    match name:
        case "postgres":
            ready = postgres.answers(running.database_url)
        case "kafka":
            ready = kafka.answers(running.kafka_bootstrap_servers)
        case _:
            ready = is_ready(process.port)
    return ProcessState(name, process.pid, process.port, ready)


def _stores_of_settings(settings: UpSettings) -> RunFile:
    if settings.database_url is None or settings.kafka_bootstrap_servers is None:
        raise Misconfigured(
            f"Nothing runs in {settings.prequal_data_dir}: start `prequal up`, "
            f"or set DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS of another system"
        )
    return RunFile(settings.database_url, settings.kafka_bootstrap_servers, {})


def _answer_of(store: str, ask: Callable[[], T], problems: list[str]) -> T | None:
    """The store's answer; a failure becomes a line of `problems`, and the rest is shown all the same."""
    try:
        return ask()
    except Exception as failure:
        problems.append(f"{store} does not answer ({_kind(failure)})")
        return None


def _kind(failure: Exception) -> str:
    """The failure's kind, which carries no data; of Kafka's that is the name of its error."""
    from confluent_kafka import KafkaException

    return str(failure.args[0].name()) if isinstance(failure, KafkaException) else type(failure).__name__
