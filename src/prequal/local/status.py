"""What runs, what waits and what was decided: the facts behind `prequal status`.

Invariant: it only looks: nothing is joined, consumed or locked, and no answer is waited for longer than seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeAlias, TypeVar

from prequal.core.errors import Misconfigured
from prequal.core.settings import KafkaSettings, load
from prequal.local.data_folder import DataFolder
from prequal.local.ports import listens
from prequal.local.run_file import Process, RunFile, read
from prequal.local.services import is_ready
from prequal.local.settings import UpSettings

if TYPE_CHECKING:
    import psycopg

    Asked: TypeAlias = psycopg.Connection[tuple[Any, ...]]

STORES: Final = ("postgres", "kafka")
SECONDS: Final = 5
EXACT_BYTES_MAX: Final = 64 * 2**20
"""Up to this size, some 150,000 applications, they are counted; a look at more of them would cost seconds."""
COUNTED_MAX: Final = 100_000
"""What waits is counted so far and no further."""

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
    """What the tables say now: waiting events up to `COUNTED_MAX`, applications of a large table estimated."""

    outbox_waiting: int
    outbox_parked: int
    applications: dict[str, int]
    applications_exact: bool
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
    """Count what waits and what was decided, in a time that does not grow with the tables. Raises psycopg's errors."""
    import psycopg

    with psycopg.connect(database_url, connect_timeout=SECONDS, options=f"-c statement_timeout={SECONDS}s") as asked:
        exact = _value(asked, "SELECT pg_relation_size('applications')") <= EXACT_BYTES_MAX
        return DatabaseFacts(
            outbox_waiting=_count(asked, "SELECT FROM outbox_events"),
            outbox_parked=_count(asked, "SELECT FROM outbox_parked"),
            applications=_counted(asked) if exact else _estimated(asked),
            applications_exact=exact,
            decisions_last_minute=_decisions_last_minute(asked),
        )


def _counted(asked: "Asked") -> dict[str, int]:
    return dict(asked.execute("SELECT status, count(*) FROM applications GROUP BY status ORDER BY status").fetchall())


def _estimated(asked: "Asked") -> dict[str, int]:
    """The undecided as their index counts them, the decided as the last ANALYZE saw them: a count would read it all."""
    asked.execute("SET enable_seqscan = off")
    undecided = _count(asked, "SELECT FROM applications WHERE status = 'PENDING'")
    decided = asked.execute(
        """
        SELECT status, round(frequency * reltuples / greatest(relpages, 1) * pg_relation_size(pg_class.oid)
                             / current_setting('block_size')::integer)::bigint
        FROM pg_class
        JOIN pg_stats ON tablename = relname AND schemaname = relnamespace::regnamespace::text
        CROSS JOIN unnest(most_common_vals::text::text[], most_common_freqs) AS seen (status, frequency)
        WHERE pg_class.oid = 'applications'::regclass AND attname = 'status' AND status <> 'PENDING'
        ORDER BY status
        """
    ).fetchall()
    return {"PENDING": undecided, **dict(decided)}


def _decisions_last_minute(asked: "Asked") -> int:
    """What decision-service took effect of, by the inbox: its index finds the newest rows, applications have none."""
    return _value(
        asked,
        """
        SELECT count(*) FROM processed_messages
        WHERE consumer = 'decision-service' AND processed_at > now() - interval '1 minute'
        """,
    )


def _count(asked: "Asked", rows: LiteralString) -> int:
    """How many rows a SELECT finds, up to `COUNTED_MAX`."""
    return _value(asked, f"SELECT count(*) FROM ({rows} LIMIT {COUNTED_MAX}) AS counted")


def _value(asked: "Asked", query: LiteralString) -> int:
    row = asked.execute(query).fetchone()
    return int(row[0]) if row else 0


def _lag(here: RunFile, settings: UpSettings) -> dict[str, int]:
    from prequal.messaging import consumer_lag

    bootstrap_servers = here.kafka_bootstrap_servers
    return consumer_lag.by_group(
        load(KafkaSettings, kafka_bootstrap_servers=bootstrap_servers, **settings.of_own_broker)
    )


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
