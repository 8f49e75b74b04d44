"""What runs, what waits and what was decided: the facts behind `prequal status`.

Neighbours: `run_file` names the processes; the database and Kafka are asked themselves.
Invariant: it only looks: nothing is joined, consumed or locked, and no answer is waited for longer than seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from prequal.kernel.errors import Misconfigured
from prequal.kernel.settings import KafkaSettings, load
from prequal.local.data_folder import DataFolder
from prequal.local.ports import listens
from prequal.local.run_file import Process, RunFile, read
from prequal.local.services import is_ready
from prequal.local.settings import UpSettings

STORES: Final = ("postgres", "kafka")
SECONDS: Final = 5

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessState:
    """One process of `prequal up`, and whether it answers."""

    name: str
    pid: int
    port: int
    ready: bool


@dataclass(frozen=True)
class DatabaseFacts:
    """What the tables say now."""

    outbox_waiting: int
    outbox_parked: int
    applications: dict[str, int]
    decisions_last_minute: int


@dataclass(frozen=True)
class Overview:
    """Everything on the screen; None where the one who knows does not answer."""

    processes: list[ProcessState]
    database: DatabaseFacts | None
    consumer_lag: dict[str, int] | None
    problems: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether everything that should answer does."""
        return not self.problems and all(process.ready for process in self.processes)


def look(settings: UpSettings) -> Overview:
    """Ask everybody once.

    Raises:
        Misconfigured: nothing runs in the data folder, and no settings say where to look instead.
    """
    here = read(DataFolder(settings.prequal_data_dir).run_file) or _elsewhere(settings)
    problems: list[str] = []
    return Overview(
        processes=[_state(name, process) for name, process in here.processes.items()],
        database=_answer(lambda: database_facts(here.database_url), "PostgreSQL", problems),
        consumer_lag=_answer(lambda: _lag(here, settings), "Kafka", problems),
        problems=problems,
    )


def database_facts(database_url: str) -> DatabaseFacts:
    """Count what waits and what was decided. Raises psycopg's errors."""
    import psycopg

    with psycopg.connect(database_url, connect_timeout=SECONDS, options=f"-c statement_timeout={SECONDS}s") as asked:
        waiting, parked = asked.execute(
            "SELECT (SELECT count(*) FROM outbox_events), (SELECT count(*) FROM outbox_parked)"
        ).fetchone() or (0, 0)
        rows = asked.execute(
            """
            SELECT status, count(*),
                   count(*) FILTER (WHERE status <> 'PENDING' AND updated_at > now() - interval '1 minute')
            FROM applications
            GROUP BY status
            ORDER BY status
            """
        ).fetchall()
    return DatabaseFacts(waiting, parked, {row[0]: row[1] for row in rows}, sum(row[2] for row in rows))


def _lag(here: RunFile, settings: UpSettings) -> dict[str, int]:
    from prequal.kernel import lag

    bootstrap_servers = here.kafka_bootstrap_servers
    return lag.by_group(load(KafkaSettings, kafka_bootstrap_servers=bootstrap_servers, **settings.of_own_broker))


def _state(name: str, process: Process) -> ProcessState:
    answers = listens if name in STORES else is_ready
    return ProcessState(name, process.pid, process.port, answers(process.port))


def _elsewhere(settings: UpSettings) -> RunFile:
    if settings.database_url is None or settings.kafka_bootstrap_servers is None:
        raise Misconfigured(
            f"Nothing runs in {settings.prequal_data_dir}: start `prequal up`, "
            f"or set DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS to look elsewhere"
        )
    return RunFile(settings.database_url, settings.kafka_bootstrap_servers, {})


def _answer(ask: Callable[[], T], whom: str, problems: list[str]) -> T | None:
    """A status screen shows what it can: whoever does not answer is named, and the rest is shown."""
    try:
        return ask()
    except Exception as failure:
        problems.append(f"{whom} does not answer ({type(failure).__name__})")
        return None
