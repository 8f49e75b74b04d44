"""Seeded bugs: builds of the service with one mistake each.

    FAULTS_BUG=no_inbox python -m faults.build credit

Invariant: a bug rebinds names of the product and fails to apply when the code it breaks is no longer there.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

REPUBLISHES_LATE: Final = {"publisher": {"REPUBLISH_AFTER_SECONDS": "86400"}}
"""Without the republisher, which would restore within half a minute what these bugs lose."""
PUBLISHER_ALONE: Final = {name: {"PUBLISH_OWN_EVENTS": "false"} for name in ("api", "credit", "publisher")}
"""No writer publishes its own events, and so none that such a publisher loses."""
ALONE_AND_LATE: Final = {**PUBLISHER_ALONE, "publisher": PUBLISHER_ALONE["publisher"] | REPUBLISHES_LATE["publisher"]}


@dataclass(frozen=True)
class Bug:
    """One mistake.

    Attributes:
        name: what `FAULTS_BUG` calls it.
        service: whose code it is in.
        red: the invariants that it must break.
        scenario: what shows it, by its name in `faults.bugs_run`.
        apply: rebinds the product's code in this process.
        settings: further settings of the services, by their names.
    """

    name: str
    service: str
    red: tuple[str, ...]
    scenario: str
    apply: Callable[[], None]
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The bug, in a sentence."""
        return (self.apply.__doc__ or "").partition("\n")[0]


BUGS: Final[dict[str, Bug]] = {}
"""Every bug, by its name."""


def bug(
    service: str, red: str, scenario: str, settings: Mapping[str, Mapping[str, str]] | None = None
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Make a function a bug of its own name; `red` names the invariants, separated by spaces."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        BUGS[apply.__name__] = Bug(apply.__name__, service, tuple(red.split()), scenario, apply, settings or {})
        return apply

    return register


def apply(name: str) -> None:
    """Put the bug into this process.

    Raises:
        SystemExit: there is no such bug.
    """
    if name not in BUGS:
        raise SystemExit(f"There is no bug {name}. There are: {', '.join(BUGS)}")
    BUGS[name].apply()


# ── commonly known mistakes ─────────────────────────────────────────────────────────────────────────────────────


@bug("credit", red="I3", scenario="credit dies after its commit")
def no_inbox() -> None:
    """No inbox: a message that comes twice takes effect twice."""
    from prequal.credit import queries

    record_decryptions = queries.record_decryptions

    async def record_all(connection: Any, reads: Any) -> Any:
        new_or_not = _Reworded(connection, "digest IS NULL AND agrees AND status = 'PENDING'", "agrees")
        known = await record_decryptions(new_or_not, reads)  # type: ignore[arg-type]
        return _forgotten(known)

    _rebind(queries, "INSERT_REMEMBERED", "SELECT event_id FROM {events} WHERE {consumer}::text IS NOT NULL")
    _rebind(queries, "record_decryptions", record_all)


@bug("credit", red="I2 I3", scenario="credit dies before its commit", settings=ALONE_AND_LATE)
def offset_before_commit() -> None:
    """The offset is committed before the messages are handled."""
    from confluent_kafka import TopicPartition

    from prequal.messaging.partitions import Partitions

    poll = Partitions._poll

    def committing(self: Any, *arguments: Any) -> Any:
        messages: Any = poll(self, *arguments)
        ends = {(one.topic(), one.partition()): one.offset() + 1 for one in messages if one.error() is None}
        if ends:
            places = [TopicPartition(*place, end) for place, end in ends.items()]
            self._client.commit(offsets=places, asynchronous=False)
        return messages

    _rebind(Partitions, "_poll", committing)


@bug("publisher", red="I2 I3", scenario="the broker is down", settings=ALONE_AND_LATE)
def marked_before_the_ack() -> None:
    """A row counts as published when it is produced, before the broker acknowledges it."""
    from prequal.messaging.delivery import DeliveryReport
    from prequal.messaging.outbox_producer import OutboxProducer
    from prequal.publisher.relay import TopicRelay

    give = TopicRelay._publish

    def publish(self: Any, rows: Any) -> Any:
        published = give(self, rows)
        for row in published:
            self._reports.add(DeliveryReport(row.id, None))
        return published

    _rebind(TopicRelay, "_publish", publish)
    _rebind(OutboxProducer, "_delivered", lambda *_: None)


@bug("api", red="I2 I3", scenario="the broker is down", settings=REPUBLISHES_LATE)
def archived_before_the_ack() -> None:
    """What the API has given to its Kafka client is archived as published."""
    from prequal.messaging.delivery import DeliveryReport
    from prequal.messaging.own_event_publisher import OwnEventPublisher

    give = OwnEventPublisher.publish

    def publish(self: Any, rows: Any) -> None:
        give(self, rows)
        self._acknowledged += [DeliveryReport(row.id, None) for row in rows]
        self._published.set()

    _rebind(OwnEventPublisher, "publish", publish)


@bug("publisher", red="I2 I3 I9", scenario="the broker is down", settings=ALONE_AND_LATE)
def id_cursor() -> None:
    """The publisher reads rows beyond the highest id so far, so that a lower id that commits later is lost."""
    from prequal.publisher import queries

    read_unpublished = queries.read_unpublished
    cursors: dict[str, int] = {}

    async def read_on(connection: Any, lease: Any, _: Sequence[int], limit: int, left: float) -> Any:
        beyond = "id > ALL ($4::bigint[])"
        reworded = _Reworded(connection, "id <> ALL ($4::bigint[])", beyond)
        seen: Any = [cursors.get(lease.name, 0)]
        rows = await read_unpublished(reworded, lease, seen, limit, left)  # type: ignore[arg-type]
        if rows:
            cursors[lease.name] = rows[-1].id
        return rows

    _rebind(queries, "read_unpublished", read_on)


@bug("api", red="I6", scenario="load")
def plain_sha256() -> None:
    """PANs are hashed by SHA-256 without a key."""
    from prequal.security.pan_encryption import PanHasher

    _rebind(PanHasher, "hash", lambda _, pan: sha256(pan.reveal().encode()).hexdigest())


@bug("api", red="I6", scenario="load")
def pan_logged() -> None:
    """The PAN of each request is printed to stdout."""
    from prequal.api.posts import SubmitApplication

    prepare = SubmitApplication._prepare

    def talkative(self: Any, request: Any, *rest: Any) -> Any:
        print(f"submitting {request.pan.reveal()} for {request.loan_amount_inr}", flush=True)
        return prepare(self, request, *rest)

    _rebind(SubmitApplication, "_prepare", talkative)


# ── less known mistakes ─────────────────────────────────────────────────────────────────────────────────────────


ANSWERED_SECONDS = 0.2
"""Time for a client to read the answers of a batch, and for the next batch to be one of several applications."""


@bug("api", red="I1", scenario="the API dies before its commit")
def answered_before_the_commit() -> None:
    """The 202 is sent before the commit."""
    from prequal.api.batch_write import BatchWriter
    from prequal.api.submit import Submissions

    write, commit = Submissions._write, BatchWriter._commit
    being_written: Any = []

    async def remembered(self: Any, batch: Any) -> Any:
        being_written[:] = batch
        return await write(self, batch)

    async def answered(self: Any, connection: Any, lock: Any, answers: Any) -> Any:
        for submission in being_written:
            if submission.new.application.id in answers:
                submission.answer(answers[submission.new.application.id])
        await asyncio.sleep(ANSWERED_SECONDS)
        return await commit(self, connection, lock, answers)

    _rebind(Submissions, "_write", remembered)
    _rebind(BatchWriter, "_commit", answered)


@bug("decision", red="I2", scenario="decision dies after its commit")
def no_status_guard() -> None:
    """A report that comes again decides its application again, whatever its status."""
    from prequal.decision import queries
    from prequal.messaging.inbox import DIGEST

    write_decisions = queries.write_decisions

    async def overwrite(connection: Any, *given: Any) -> Any:
        unguarded = _Reworded(connection, "WHERE found.status = 'PENDING'", "WHERE found.status <> ''")
        unremembered = _Reworded(unguarded, f"{DIGEST.format(consumer='$1')} IS NULL", "true")
        return await write_decisions(unremembered, *given)  # type: ignore[arg-type]

    _rebind(queries, "write_decisions", overwrite)


@bug("decision", red="I2", scenario="a report after people decided")
def decision_overwritten_after_review() -> None:
    """A report that comes again overwrites what people have decided."""
    no_status_guard()


@bug("api", red="I5", scenario="one PAN many times")
def claim_not_checked() -> None:
    """A claim of a PAN is taken over though it has not expired."""
    from prequal.api import queries

    wanted = "WHERE claim.expires_at <= now()"
    assert wanted in queries.WRITE
    _rebind(queries, "WRITE", queries.WRITE.replace(wanted, "WHERE true"))


@bug("api", red="I4", scenario="one PAN many times")
def idempotency_key_kept_after_refusal() -> None:
    """The idempotency key of a refused request stays taken."""
    from prequal.api import queries

    async def keep(*_: Any) -> None:
        return

    _rebind(queries, "release_keys", keep)


@bug("credit", red="I7", scenario="load")
def decrypted_before_the_audit_row() -> None:
    """A PAN is decrypted without an audit row before it."""
    from prequal.credit import queries

    record_decryptions = queries.record_decryptions

    async def later(connection: Any, reads: Any) -> Any:
        return await record_decryptions(_Reworded(connection, "WHERE must_decrypt AND", "WHERE false AND"), reads)  # type: ignore[arg-type]

    _rebind(queries, "record_decryptions", later)


@bug("api", red="I8", scenario="load")
def read_from_a_replica() -> None:
    """Reads go to a replica, which is a second and a half behind."""
    from prequal.api import read_queries

    current_status = read_queries.current_status

    async def a_little_late(connection: Any, application_id: Any, client: str) -> Any:
        behind = "id = $1 AND created_at < clock_timestamp() - interval '1500 ms'"
        return await current_status(_Reworded(connection, "id = $1", behind), application_id, client)  # type: ignore[arg-type]

    _rebind(read_queries, "current_status", a_little_late)


@bug("api", red="I8", scenario="the database fails over")
def reads_wherever_it_is_connected() -> None:
    """Connections are not checked for taking writes, so that an old primary is read from."""
    import asyncpg

    from prequal.postgres import connections

    async def anywhere(database_url: str, **options: Any) -> Any:
        return await asyncpg.connect(database_url, timeout=2, **options)

    _rebind(connections, "open_connection", anywhere)
    _rebind(connections, "require_writable", lambda _: None)


@bug("migrate", red="I9", scenario="a migration beside a backup")
def ddl_without_a_lock_bound() -> None:
    """A migration waits for its lock without a bound."""
    from prequal.postgres import locks

    _rebind(locks, "LOCK_MS", 0)


@bug("credit", red="I9 I10", scenario="a message whose headers cannot be read")
def headers_read_twice() -> None:
    """A message's headers are read twice, though reading some of them fails."""
    from prequal.messaging import dead_letter_publisher

    def asked_again(dead_letter: Any) -> Any:
        theirs = dead_letter.message.message.headers() or []
        kept = [(name, value) for name, value in theirs if not name.startswith(dead_letter_publisher.PREFIX)]
        return [*kept, *dead_letter_publisher.own_headers(dead_letter)]

    _rebind(dead_letter_publisher, "headers", asked_again)


@bug("decision", red="I9", scenario="a quiet while")
def health_check_leaks() -> None:
    """Each health check opens a connection to the database and never closes it."""
    from prequal.core.lifecycle import pause
    from prequal.postgres.connections import connect
    from prequal.service.readiness import ASK_EVERY_SECONDS, Readiness

    opened = []

    async def ask(self: Any, stop: asyncio.Event) -> None:
        while not stop.is_set():
            opened.append(await connect(self.database._connection._database_url, "ready"))
            self._record("database", up=True)
            await pause(stop, ASK_EVERY_SECONDS)

    _rebind(Readiness, "_ask_database", ask)


@bug("credit", red="I10", scenario="the broker is down")
def readiness_equals_liveness() -> None:
    """`/ready` is 200 whenever the process answers."""
    from prequal.service.readiness import Readiness

    said = {"status": "ready", "database": "connected", "kafka": "connected"}
    _rebind(Readiness, "answer", lambda _: (200, said))


@bug("credit", red="I10", scenario="the broker is down")
def readiness_never_recovers() -> None:
    """A dependency that was away once counts as away for ever."""
    from prequal.service.readiness import Readiness

    record = Readiness._record
    mistrusted = set()

    def remember(self: Any, name: str, *, up: bool) -> None:
        if self._up[name] and not up:
            mistrusted.add(name)
        record(self, name, up=up and name not in mistrusted)

    _rebind(Readiness, "_record", remember)


@bug("credit", red="I2", scenario="the bureau is away")
def decides_without_the_bureau() -> None:
    """Nobody is waited for: a bureau that does not answer has no file."""
    from prequal.credit.http_bureau import BureauFailed, HttpBureau

    ask = HttpBureau._try

    async def no_file(self: Any, *asked: Any) -> Any:
        try:
            return await ask(self, *asked)
        except BureauFailed:
            return None

    _rebind(HttpBureau, "_try", no_file)


@bug("decision", red="I2", scenario="the policy is switched")
def challenger_decides_under_the_live_name() -> None:
    """What a challenger decides is stored as decided by the version in force."""
    from prequal.decision.handler import DecisionHandler

    pending = DecisionHandler._pending

    def renamed(self: Any, received: Any, in_force: Any) -> Any:
        found = pending(self, received, in_force)
        return replace(found, decision=found.decision._replace(policy=in_force.live))

    _rebind(DecisionHandler, "_pending", renamed)


# ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reworded:
    """A connection whose statements are changed on their way."""

    def __init__(self, connection: Any, old: str, new: str) -> None:
        self._connection = connection
        self._old = old
        self._new = new

    async def fetch(self, query: str, *values: Any) -> Any:
        return await self._connection.fetch(self._with(query), *values)

    async def fetchrow(self, query: str, *values: Any) -> Any:
        return await self._connection.fetchrow(self._with(query), *values)

    def _with(self, query: str) -> str:
        assert self._old in query
        return query.replace(self._old, self._new)


def _forgotten(known: dict[UUID, Any]) -> dict[UUID, Any]:
    """The rows as without an inbox: each event that has an application is new."""
    from prequal.domain.application import Status

    return {
        event_id: replace(each, digest=None, status=Status.PENDING if each.status else None)
        for event_id, each in known.items()
    }


def _rebind(owner: object, name: str, new: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more: this bug needs a new place"
    setattr(owner, name, new)
