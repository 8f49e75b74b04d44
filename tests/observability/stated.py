"""What the stores, the clients and the processes themselves say of the numbers on the boards."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import psutil
import pytest

from harness.broker import GROUPS, PARTITIONS, REPORTED, SUBMITTED, SUBMITTED_DLQ
from prequal.core.circuit_breaker import State
from prequal.telemetry.metrics import SCORES, SECONDS, STATUS_ROUTE, SUBMIT_ROUTE

from .day import Day

POISON = 3
JOBS = {
    "api": "prequal-api",
    "credit": "credit-service",
    "decision": "decision-service",
    "publisher": "publisher",
}
"""The four services, by what Prometheus calls them."""

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Stated:
    """The numbers of one query, by sources other than the processes that count.

    Attributes:
        by: the numbers, by what the panel calls their series; all others there are 0.
        rel: how near the panel must come, as a share: near 0 for what was counted, more for what moves meanwhile.
        abs: the same, as a number, or as what the stores say that may be counted either way.
        partly: the panel shows others too, which nobody else counts.
    """

    by: Callable[[Day], Numbers]
    rel: float = 1e-6
    abs: float | Callable[[Day], float] = 1e-6
    partly: bool = False

    def expected(self, day: Day, shown: Numbers) -> Any:
        """What is to be shown, to be compared with what is."""
        others = {} if self.partly else dict.fromkeys(shown, 0.0)
        abs_ = self.abs(day) if callable(self.abs) else self.abs
        return pytest.approx({**others, **self.by(day)}, rel=self.rel, abs=abs_)

    def compared(self, shown: Numbers, expected: Any) -> Numbers:
        """What of it is to be compared."""
        return {name: number for name, number in shown.items() if name in expected.expected}


def sql(query: str) -> Callable[[Day], dict[str, float]]:
    """What the database says, by its first column."""
    named = f"SELECT * FROM ({query}) AS said (name, number)"
    return lambda day: {row["name"]: float(row["number"]) for row in day.rig.database.rows(named)}


def each(number: float, *, without: str = "") -> Callable[[Day], Numbers]:
    """The same number of each process."""
    return lambda day: {name: number for service, name in processes(day).items() if service != without}


def processes(day: Day) -> dict[str, str]:
    """What the boards call the four processes."""
    return {name: f"{job} {instance(day, name)}" for name, job in JOBS.items()}


def instance(day: Day, name: str) -> str:
    return f"127.0.0.1:{day.rig.ports[name]}"


def of_the_api(number: float) -> Callable[[Day], Numbers]:
    return lambda day: {instance(day, "api"): number}


def of_the_system(measure: Callable[[psutil.Process], float]) -> Callable[[Day], Numbers]:
    """What the operating system says of each process."""
    return lambda day: {
        called: measure(psutil.Process(day.rig.child(name).pid)) for name, called in processes(day).items()
    }


def reached(dependency: str) -> Callable[[Day], Numbers]:
    """What each process says at `/ready` about a dependency."""
    return lambda day: {
        called: float(day.rig.ready(name)[1][dependency] == "connected") for name, called in processes(day).items()
    }


def breaker(name: str) -> Callable[[Day], Numbers]:
    """What each process that has this breaker says at `/ready` about it."""
    return lambda day: {
        called: float(State[word.upper()])
        for service, called in processes(day).items()
        for word in [day.rig.ready(service)[1]["breakers"].get(name)]
        if word
    }


def answers(day: Day) -> Numbers:
    """What the API's clients were answered that was no success, by status."""
    return {status: count for status, count in (day.posts + day.reads).items() if status[0] in "45"}


def refused_posts(day: Day) -> Numbers:
    return {status: count for status, count in day.posts.items() if status[0] == "4"}


def share_of_our_errors(day: Day) -> Numbers:
    all_of_them = day.posts + day.reads
    return {"5xx": sum(count for status, count in all_of_them.items() if status[0] == "5") / all_of_them.total()}


def publish_errors(day: Day) -> Numbers:
    """What the publisher's log says was not published."""
    found: dict[str, float] = {}
    for line in day.rig.data.log("publisher").read_text("utf-8").splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "publish_failed":
            name = f"{said['topic']}: {said['reason']}"
            found[name] = found.get(name, 0.0) + said["count"]
    return found


def dead_letters(day: Day) -> float:
    return float(day.rig.broker.published(SUBMITTED_DLQ))


def published_again(day: Day, topic: str) -> float:
    """How many messages of a topic the broker has beside one for each application, and the poison."""
    poison = dead_letters(day) if topic == SUBMITTED else 0
    return day.rig.broker.published(topic) - poison - day.rig.database.count("applications")


def quantile_of_decisions(percent: int) -> Stated:
    """What `histogram_quantile` makes of the times that the database tells, and of the longer ones that were counted.

    The metric has the statement's own time in it, `updated_at` has not: a time near the border of a bucket may be
    counted above it, which moves the quantile within the bucket or into the next.
    """

    def middle_and_half(day: Day) -> tuple[float, float]:
        rows = day.rig.database.rows(
            "SELECT extract(epoch FROM updated_at - created_at)::float8 AS seconds FROM applications"
        )
        seconds = [row["seconds"] for row in rows]
        longer = [each * 1.2 + 0.03 for each in seconds]
        least, most = in_its_band(seconds, percent / 100), in_its_band(longer, percent / 100)
        return (least + most) / 2, (most - least) / 2

    return Stated(lambda day: {f"p{percent}": middle_and_half(day)[0]}, abs=lambda day: 0.01 + middle_and_half(day)[1])


def in_its_band(seconds: list[float], quantile: float) -> float:
    """Its place between the borders of the band that it falls into, as if the band were filled evenly."""
    rank, low = quantile * len(seconds), 0.0
    for high in SECONDS:
        up_to_here = sum(each <= high for each in seconds)
        if up_to_here >= rank:
            below = sum(each <= low for each in seconds) if low else 0
            return low + (high - low) * (rank - below) / (up_to_here - below)
        low = float(high)
    return low


def share_decided(between: str) -> Callable[[Day], float]:
    """The share of applications whose time to decision, as `updated_at` tells it, is so many seconds."""
    took = sql(f"SELECT '', avg((extract(epoch FROM updated_at - created_at) {between})::integer) FROM applications")
    return lambda day: took(day)[""]


late = share_decided("> 2")
nearly_late = share_decided("BETWEEN 1 AND 2")
"""Late by the metric, which has the statement's own time in it, and in time by `updated_at`, which has not; or not."""


def _all(panel: str, stated: Callable[[Day], Numbers], *legends: str, **how: Any) -> Iterator[tuple[Any, Stated]]:
    """The same panel's queries, each with its own of what is stated of them all."""
    for legend in legends:
        yield (panel, legend), Stated(lambda day, legend=legend: {legend: stated(day)[legend]}, **how)  # type: ignore[misc]


FINAL = ("PRE_APPROVED", "REJECTED", "MANUAL_REVIEW")
BY_LOAN_TYPE = sql("SELECT loan_type, count(*) FROM applications GROUP BY 1")
BY_STATUS = sql("SELECT status, count(*) FROM applications GROUP BY 1")
ALLOWED_LATE = 0.001
OF_THIS_DATABASE = "SELECT {} FROM pg_stat_database WHERE datname = current_database()"
TRANSACTIONS = sql(
    f"{OF_THIS_DATABASE} UNION ALL {OF_THIS_DATABASE}".format(
        "'committed', xact_commit", "'rolled_back', xact_rollback"
    )
)

STATED: dict[tuple[str, str], Stated] = {
    # ── API ─────────────────────────────────────────────────────────────────────────────────────────────────────
    ("prequal-api: Requests", "{{method}} {{route}}"): Stated(
        lambda day: {f"POST {SUBMIT_ROUTE}": day.posts.total(), f"GET {STATUS_ROUTE}": day.reads.total()}, partly=True
    ),
    ("prequal-api: Accepted", "{{loan_type}}"): Stated(BY_LOAN_TYPE),
    ("prequal-api: 5xx ratio", "5xx"): Stated(share_of_our_errors),
    ("prequal-api: 4xx and 5xx", "{{status}}"): Stated(answers),
    ("prequal-api: Requests in flight", "{{instance}}"): Stated(of_the_api(1)),
    ("prequal-api: Write queue fill", "{{instance}}"): Stated(of_the_api(0)),
    ("prequal-api: Shed load", "{{instance}}"): Stated(of_the_api(0)),
    ("prequal-api: Rate-limited requests", "{{reason}}"): Stated(lambda _: {"requests": 0, "repeats": 0}),
    ("prequal-api: Sign-ins by the issuer that failed", "failed"): Stated(lambda _: {"failed": 0}),
    ("prequal-api: Connections", "{{service}} {{instance}}"): Stated(each(0), abs=0.01),
    ("prequal-api: Connections closed", "{{service}} {{reason}}"): Stated(
        lambda _: {f"{service} {reason}": 0 for service in JOBS.values() for reason in ("head", "room", "refused")},
        partly=True,
    ),
    ("prequal-api: Read pool", "{{instance}}"): Stated(of_the_api(0)),
    ("prequal-api: Memory", "{{service}} {{instance}}"): Stated(
        of_the_system(lambda process: process.memory_info().rss), rel=0.15
    ),
    ("prequal-api: Open files", "{{service}} {{instance}}"): Stated(
        of_the_system(lambda process: process.num_fds() / process.rlimit(psutil.RLIMIT_NOFILE)[0]), rel=0.3
    ),
    ("prequal-api: Up", "{{job}} {{instance}}"): Stated(each(1)),
    ("prequal-api: Restarts", "{{job}} {{instance}}"): Stated(each(0)),
    ("prequal-api: Dependency up: database", "{{service}} {{instance}}"): Stated(reached("database")),
    ("prequal-api: Key service away", "{{service}} {{instance}}"): Stated(
        lambda day: {called: 0 for name, called in processes(day).items() if name in ("api", "credit")}
    ),
    # ── Kafka ───────────────────────────────────────────────────────────────────────────────────────────────────
    ("prequal-kafka: Oldest unpublished event", "{{topic}}"): Stated(
        lambda day: (
            {SUBMITTED: 0, REPORTED: 0}
            | sql("SELECT topic, extract(epoch FROM now() - min(created_at)) FROM outbox_events GROUP BY 1")(day)
        )
    ),
    # Several processes count: what is extrapolated of the one that counted first comes to less than an event.
    ("prequal-kafka: Published", "{{topic}}"): Stated(
        sql("SELECT topic, count(*) FROM outbox_archive GROUP BY 1"), abs=0.9
    ),
    ("prequal-kafka: Consumed", "{{topic}}: {{outcome}}"): Stated(
        lambda day: (
            {
                f"{GROUPS[f'{consumer}-group']}: done": count
                for consumer, count in sql("SELECT consumer, count(*) FROM processed_messages GROUP BY 1")(day).items()
            }
            | {f"{SUBMITTED}: dead": dead_letters(day)}
            | {f"{topic}: duplicate": published_again(day, topic) for topic in GROUPS.values()}
        )
    ),
    ("prequal-kafka: Republished", "events"): Stated(
        sql("SELECT 'events', coalesce(sum(times), 0) FROM republications")
    ),
    ("prequal-kafka: Publish errors", "{{topic}}: {{error}}"): Stated(publish_errors),
    ("prequal-kafka: Dead letters", "{{topic}}: {{reason}}"): Stated(
        lambda day: {f"{SUBMITTED}: malformed_json": dead_letters(day)}
    ),
    ("prequal-kafka: Dead letters stored", "{{topic}}"): Stated(lambda day: {SUBMITTED_DLQ: dead_letters(day)}),
    ("prequal-kafka: Stopped consumers, paused partitions", "{{service}} stopped"): Stated(
        lambda _: {f"{JOBS[name]} stopped": 0 for name in ("credit", "decision")}
    ),
    ("prequal-kafka: Stopped consumers, paused partitions", "{{service}} without a key"): Stated(
        lambda _: {f"{JOBS[name]} without a key": 0 for name in ("credit", "decision")}
    ),
    ("prequal-kafka: Stopped consumers, paused partitions", "{{service}} in a transaction"): Stated(
        lambda _: {f"{JOBS[name]} in a transaction": 0 for name in ("credit", "decision")}
    ),
    ("prequal-kafka: Dependency up: kafka", "{{service}} {{instance}}"): Stated(reached("kafka")),
    ("prequal-kafka: Breaker: kafka_producer", "{{service}} {{instance}}"): Stated(breaker("kafka_producer")),
    ("prequal-kafka: Consumer lag", "{{group}}"): Stated(
        lambda day: {
            group: day.rig.broker.published(topic) - day.rig.broker.committed(group) for group, topic in GROUPS.items()
        }
    ),
    ("prequal-kafka: Lag by partition", "{{topic}} {{partition}}"): Stated(
        lambda _: {f"{topic} {number}": 0 for topic in GROUPS.values() for number in PARTITIONS}
    ),
    ("prequal-kafka: Outbox", "{{topic}}"): Stated(
        lambda day: {SUBMITTED: 0, REPORTED: 0} | sql("SELECT topic, count(*) FROM outbox_events GROUP BY 1")(day)
    ),
    ("prequal-kafka: Outbox", "{{topic}} parked"): Stated(
        lambda day: (
            {f"{SUBMITTED} parked": 0, f"{REPORTED} parked": 0}
            | sql("SELECT topic || ' parked', count(*) FROM outbox_parked GROUP BY 1")(day)
        )
    ),
    # ── database ────────────────────────────────────────────────────────────────────────────────────────────────
    # The publisher asks every four to six seconds, and new work goes on: near is all there can be.
    ("prequal-database: Transactions", "{{outcome}}"): Stated(
        lambda day: {name: number - day.transactions[name] for name, number in TRANSACTIONS(day).items()},
        rel=0.3,
        abs=5,
    ),
    ("prequal-database: Rollback ratio", "rolled back"): Stated(
        sql(OF_THIS_DATABASE.format("'rolled back', xact_rollback::float8 / (xact_commit + xact_rollback)")), abs=0.05
    ),
    ("prequal-database: Deadlocks", "deadlocks"): Stated(sql(OF_THIS_DATABASE.format("'deadlocks', deadlocks"))),
    ("prequal-database: Dependency up: database", "{{service}} {{instance}}"): Stated(reached("database")),
    ("prequal-database: Breaker: database", "{{service}} {{instance}}"): Stated(breaker("database")),
    ("prequal-database: Server connections", "taken"): Stated(
        sql(
            """
            SELECT 'taken', count(*)::float8 / current_setting('max_connections')::integer FROM pg_stat_activity
            WHERE backend_type = 'client backend'
            """
        ),
        abs=0.02,
    ),
    ("prequal-database: Oldest transaction", "open for"): Stated(lambda _: {"open for": 0}, abs=1),
    ("prequal-database: Size", "database"): Stated(
        sql("SELECT 'database', pg_database_size(current_database())"), rel=0.02
    ),
    ("prequal-database: Disk", "{{instance}}"): Stated(
        lambda day: {
            instance(day, "publisher"): 1
            - shutil.disk_usage(day.rig.folder).free / shutil.disk_usage(day.rig.folder).total
        },
        abs=0.02,
    ),
    ("prequal-database: Archive partitions ahead", "days"): Stated(
        sql(
            """
            SELECT 'days', count(*) FROM pg_inherits
            WHERE inhparent = 'outbox_archive'::regclass AND right(inhrelid::regclass::text, 8)::date > CURRENT_DATE
            """
        )
    ),
    # ── business ────────────────────────────────────────────────────────────────────────────────────────────────
    **{("prequal-business: Time to decision", f"p{each}"): quantile_of_decisions(each) for each in (50, 95, 99)},
    ("prequal-business: Decided within 2 s", "in time"): Stated(
        lambda day: {"in time": 1 - late(day)}, abs=nearly_late
    ),
    **dict(
        _all(
            "prequal-business: Error budget burn rate",
            lambda day: dict.fromkeys(("over 5m", "over 1h", "over 6h"), late(day) / ALLOWED_LATE),
            "over 5m",
            "over 1h",
            "over 6h",
            abs=lambda day: nearly_late(day) / ALLOWED_LATE,
        )
    ),
    ("prequal-business: Applications", "{{loan_type}}"): Stated(BY_LOAN_TYPE),
    ("prequal-business: Decisions by status", "{{status}}"): Stated(BY_STATUS),
    ("prequal-business: Decisions by reason", "{{reason}}"): Stated(
        sql("SELECT decision_rule, count(*) FROM applications GROUP BY 1")
    ),
    ("prequal-business: Decision rate", "{{status}}"): Stated(BY_STATUS),
    ("prequal-business: Approval rate", "{{loan_type}}"): Stated(
        sql("SELECT loan_type, avg((status = 'PRE_APPROVED')::integer) FROM applications GROUP BY 1")
    ),
    ("prequal-business: Scores", "{{le}}"): Stated(
        sql(
            f"""
            SELECT to_char(upto, 'FM990.0'), count(*) FROM unnest(ARRAY{list(SCORES)}) AS bands (upto)
            JOIN applications ON cibil_score <= upto GROUP BY 1
            UNION ALL SELECT '+Inf', count(cibil_score) FROM applications
            """
        )
    ),
    ("prequal-business: Policy in force", "{{version}}"): Stated(lambda _: {"v1": 1}),
    ("prequal-business: Live and challenger", "{{role}}: {{status}}"): Stated(
        lambda system: (
            {f"live: {status}": number for status, number in BY_STATUS(system).items()}
            | {f"challenger: {status}": 0 for status in FINAL}
        )
    ),
    ("prequal-business: Shadow decisions", "{{status}} → {{outcome}}"): Stated(
        lambda _: {f"{live} → {other}": 0 for live, other in product(FINAL, FINAL)}
    ),
    ("prequal-business: Amount requested", "{{loan_type}}"): Stated(
        sql("SELECT loan_type, sum(loan_amount_inr) FROM applications GROUP BY 1")
    ),
    ("prequal-business: Amount pre-approved", "{{loan_type}}"): Stated(
        sql("SELECT loan_type, sum(loan_amount_inr) FROM applications WHERE status = 'PRE_APPROVED' GROUP BY 1")
    ),
    ("prequal-business: Approval rate by amount", "{{loan_type}}"): Stated(
        sql(
            """
            SELECT loan_type, sum(loan_amount_inr * (status = 'PRE_APPROVED')::integer) / sum(loan_amount_inr)
            FROM applications GROUP BY 1
            """
        )
    ),
    ("prequal-business: 4xx by status", "{{status}}"): Stated(refused_posts),
    ("prequal-business: Dead letters", "{{topic}}"): Stated(lambda day: {SUBMITTED: dead_letters(day)}),
    ("prequal-business: PANs decrypted", "decrypted"): Stated(
        sql("SELECT 'decrypted', count(*) FROM audit_log WHERE action = 'READ'")
    ),
    ("prequal-business: PANs decrypted", "applications"): Stated(
        sql("SELECT 'applications', count(*) FROM applications")
    ),
    ("prequal-business: Undecided", "undecided"): Stated(
        sql("SELECT 'undecided', count(*) FROM applications WHERE status = 'PENDING'")
    ),
    ("prequal-business: Undecided", "for over 2 s"): Stated(
        sql("SELECT 'for over 2 s', count(*) FROM applications WHERE status = 'PENDING'")
    ),
    ("prequal-business: Oldest undecided", "waits for"): Stated(
        sql(
            """
            SELECT 'waits for', coalesce(extract(epoch FROM now() - min(created_at)), 0)
            FROM applications WHERE status = 'PENDING'
            """
        )
    ),
    ("prequal-business: Open reviews", "open"): Stated(
        sql("SELECT 'open', count(*) FROM applications WHERE status = 'MANUAL_REVIEW'")
    ),
    ("prequal-business: Open reviews", "overdue"): Stated(lambda _: {"overdue": 0}),
    ("prequal-business: Hours to review target", "oldest case"): Stated(
        sql(
            """
            SELECT 'oldest case', 24 - extract(epoch FROM now() - min(updated_at)) / 3600
            FROM applications WHERE status = 'MANUAL_REVIEW'
            """
        ),
        abs=0.02,
    ),
}

KNOWN_TO_THE_PROCESS_ALONE: dict[str, str] = {
    "prequal-api: POST /applications": "how long an answer took is measured inside; how many there were is compared",
    "prequal-api: GET status": "how long an answer took is measured inside; how many there were is compared",
    "prequal-api: Error budget burn rate": "rests on how long answers took",
    "prequal-api: POST within 250 ms": "rests on how long answers took",
    "prequal-api: Retries": "a try that failed leaves nothing behind",
    "prequal-api: CPU": "the operating system's count, which goes on while it is asked for",
    "prequal-kafka: Hop latency p95": "the times of a message's arrival are kept by nobody",
    "prequal-database: Transaction latency p95": "how long a transaction took is kept by nobody",
    "prequal-database: Write transaction": "how long a transaction took is kept by nobody",
    "prequal-database: Transactions by query": "what a transaction was for is kept by nobody",
    "prequal-database: Connections by service": "whose a connection is the server does not know; their sum is compared",
}
"""Panels whose numbers nobody else knows, and why."""
