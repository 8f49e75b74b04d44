"""A scenario is one fault: what is broken and restored under load, and what its row demands besides the invariants.

Invariant: all chance in a run comes from its seed, so that the seed names what was tried.

    @scenario(row=7, name="broker-frozen-20s", outage=(20, 4))
    def broker_frozen(run: Run) -> None:
        run.load()
        run.some_moment()
        with run.fault(away=("kafka",)) as fault:
            run.system.freeze("kafka")
            run.wait(run.outage_seconds)
            fault.restore()
            run.system.thaw("kafka")
        run.come_to_rest()
        run.demand(all(seen.status != 503 for seen in run.seen.answers), "a POST was refused without the broker")
"""

import functools
import importlib
import itertools
import pkgutil
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import psycopg

from faults.checker import processes
from faults.checker.check import Checker
from faults.checker.probes import RECOVER_SECONDS, RESTART_SECONDS
from faults.load import Load
from faults.plan import NORMAL, SHORT, Post, Volume, plan
from faults.systems import FaultSystem
from harness.journal import SERVICES, Fault, Journal
from harness.system import Service, at_once
from harness.waiting import eventually

AT_REST_SECONDS: Final = 60.0
"""Within which everything is as it should be after a fault was restored, by the promise."""


AT_REST_SECONDS_MIN: Final = 10.0
"""How long it is waited for in any case, however long a busy machine took to start again what was down."""

NORMAL_SECONDS: Final = 2.0
"""Within which an application is decided, by the promise."""
BUSY_SECONDS: Final = 5.0
"""The same on a machine that has much else to do at the moment."""

LONGEST_SECONDS: Final = 90.0
"""Longer than a service takes to be stopped and started four times."""

REJOINED_SECONDS: Final = 20.0
"""Within which a killed consumer is ready: its group waits for its session of ten seconds before it may join again."""
LATE_SECONDS: Final = 12.0
"""How long past the bound who is not ready is still asked: until it was asked once more, even when it hangs."""


class NotRun(Exception):
    """This machine lacks something that the scenario needs; it says what. Never counted as passed."""


class Spoilt(Exception):
    """The run proves nothing: the fault did not happen. Played again with another seed, a few times."""


@dataclass(frozen=True)
class Scenario:
    """One fault.

    Attributes:
        row: of the table of faults.
        name: unique among all scenarios.
        act: plays it.
        outage_seconds: how long what it takes away is away, and how long in a short run.
        volume: the load on it; a short run has the short load.
        own_system: it wants a system that nobody used, which nobody uses after it.
        opens: makes its system, when that is not the usual one; the runner closes it.
        at_rest_seconds: within which all is at rest after the fault was restored.
        takes_minutes: it is no part of a short campaign, unless it is named.
    """

    row: int
    name: str
    act: Callable[["Run"], None]
    outage_seconds: tuple[float, float] = (0.0, 0.0)
    volume: Volume = NORMAL
    own_system: bool = False
    opens: type[FaultSystem] | Callable[..., FaultSystem] = FaultSystem
    at_rest_seconds: float = AT_REST_SECONDS
    takes_minutes: bool = False


SCENARIOS: Final[dict[str, Scenario]] = {}
"""Every scenario, by its name, once `every` has been called."""


def scenario(
    row: int,
    name: str,
    *,
    outage: tuple[float, float] = (0.0, 0.0),
    volume: Volume = NORMAL,
    own_system: bool = False,
    opens: Callable[..., FaultSystem] = FaultSystem,
    at_rest_seconds: float = AT_REST_SECONDS,
    takes_minutes: bool = False,
) -> Callable[[Callable[["Run"], None]], Callable[["Run"], None]]:
    """Make a function a scenario; the arguments are those of `Scenario`."""

    def register(act: Callable[["Run"], None]) -> Callable[["Run"], None]:
        assert name not in SCENARIOS, f"two scenarios called {name}"
        SCENARIOS[name] = Scenario(row, name, act, outage, volume, own_system, opens, at_rest_seconds, takes_minutes)
        return act

    return register


def every() -> list[Scenario]:
    """All scenarios there are, by row."""
    from faults import scenarios

    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"faults.scenarios.{module.name}")
    return sorted(SCENARIOS.values(), key=lambda each: (each.row, each.name))


@dataclass
class Stage:
    """One system with its journal and its checker, and all the runs that were played on it."""

    system: FaultSystem
    journal: Journal
    checker: Checker
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    runs: int = 0
    spent: bool = False
    """Whether a run on it was anything but clean."""


class Damage:
    """A fault that is in."""

    def __init__(self, run: "Run", name: str) -> None:
        self._run = run
        self._name = name

    def restore(self) -> None:
        """Say that the restoring begins."""
        self._run.restored_at = time.time()
        self._run.journal.write(Fault("restore", self._name, self._run.restored_at))


class Run:
    """One time that a scenario is played.

    Attributes:
        system: the system.
        journal: what is written down, of all runs of this system.
        checker: what decides, in the end.
        chance: drawn from the seed.
        outage_seconds: how long to take away what is taken away.
        volume: the load.
        seen: what the loads of this run saw; several loads share one.
        numbers: one for each send of the journal.
        unmet: demands of the row that were not met, in words.
        restored_at: when the last restoring began, in seconds since 1970.
        healed_at: when all that was broken last answered again.
        at_rest: whether `come_to_rest` has been called.
        recovery_seconds: from the restore until all that was accepted before the heal was decided, and one accepted.
    """

    def __init__(self, played: Scenario, stage: Stage, seed: int, *, short: bool = False) -> None:
        self.scenario = played
        self.system = stage.system
        self.journal = stage.journal
        self.checker = stage.checker
        self.seed = seed
        self.chance = random.Random(f"{played.name}/{seed}")
        self.outage_seconds = played.outage_seconds[1 if short else 0]
        self.volume = SHORT if short else played.volume
        self.unmet: list[str] = []
        self.restored_at = self.healed_at = self.began_at = time.time()
        self.at_rest = False
        self.recovery_seconds = 0.0
        self.numbers = stage.numbers
        self._stage = stage
        self._killed: set[str] = set()
        self._loads = 0
        patience = self.outage_seconds + 60 + self.volume.seconds
        self.seen = Load(self.system.ports, self.journal, stage.numbers, patience)

    def load(self, volume: Volume | None = None) -> None:
        """Put the load on; returns at once. A second call adds to the first."""
        self._loads += 1
        self.send(plan(f"{self.scenario.name}/{self.seed}/{self._loads}", volume or self.volume))

    @contextmanager
    def load_meanwhile(self, rate: float = 20.0) -> Iterator[None]:
        """So many posts a second for as long as the block, or `LONGEST_SECONDS`."""
        self._loads += 1
        over = threading.Event()
        posts = plan(f"{self.scenario.name}/{self.seed}/{self._loads}", Volume(round(LONGEST_SECONDS * rate), rate))
        self.seen.begin(posts, over)
        try:
            yield
        finally:
            over.set()

    def send(self, posts: Iterable[Post]) -> None:
        """Have posts of the scenario's own sent beside the load; returns at once."""
        self.seen.begin(posts)

    def share(self, service: str) -> Service:
        """Start a second process of a service, which shares the load with the first, and is judged as well."""
        second = self.system.start_second(service)
        self.seen.share(service, second.port)
        started = {name: each for name, each in self.system.judged.processes.items() if each.port == second.port}
        self.journal.write(*processes.measure(started))
        return second

    def sent(self) -> bool:
        """Wait until every post so far has its last answer; whether that came in time."""
        return self.seen.sent(self.volume.seconds + 120)

    def some_moment(self, share: tuple[float, float] = (0.1, 0.6), volume: Volume | None = None) -> None:
        """Wait for a moment of the load that the seed chooses, within these shares of its length."""
        self.wait(self.chance.uniform(*share) * (volume or self.volume).seconds)

    def wait(self, seconds: float) -> None:
        """Let time pass: what is broken stays broken."""
        time.sleep(seconds)

    @contextmanager
    def fault(
        self,
        *,
        away: tuple[str, ...] = (),
        seen_by: tuple[str, ...] = SERVICES,
        killed: tuple[str, ...] = (),
        troubled: tuple[str, ...] = (),
        lost: tuple[str, ...] = (),
    ) -> Iterator[Damage]:
        """Write down that a fault begins, and at the end of the block, where everything answers again, that it is over.

        Args:
            away: of `database` and `kafka` what does not answer.
            seen_by: the services for whom it is away.
            killed: services that need not answer meanwhile, because they are killed, stopped or frozen themselves.
            troubled: services that may say that they are not ready, for a reason of their own.
            lost: topics whose content is gone for good.
        """
        self._killed |= {*killed}
        self.journal.write(Fault("begin", self.scenario.name, time.time(), away, seen_by, killed, troubled, lost))
        damage = Damage(self, self.scenario.name)
        before = self.restored_at
        yield damage
        if self.restored_at == before:
            self.restored_at = time.time()
        self.healed_at = time.time()
        self.journal.write(Fault("heal", self.scenario.name, self.healed_at))

    def demand(self, truth: object, words: str) -> None:
        """What the row demands besides the invariants; when it is not so, `words` is a violation."""
        if not truth:
            self.unmet.append(words)

    def demand_soon(self, truth: Callable[[], object], within: float, words: str) -> None:
        """The same for what may take a while to become true; a store or a service that does not answer: not yet."""
        try:
            eventually(functools.partial(_found, truth), within)
        except AssertionError:
            self.unmet.append(f"{words} (waited {within:g} s)")

    def demand_none_refused(self) -> None:
        """Demand that no post was answered with a failure of the service's, 5xx."""
        refused = {seen.status for seen in self.seen.answers if seen.status >= 500}
        self.demand(not refused, f"posts were answered {refused}")

    def demand_all_accepted(self) -> None:
        """POST stays 202: demand that none was refused for want of something, and that no answer was lost."""
        self.demand_none_refused()
        self.demand(not self.seen.lost, f"posts got no answer: {self.seen.lost[:3]}")

    def demand_normal_time(self, but: Set[str] = frozenset()) -> None:
        """Demand that applications, `but` for some, were decided as fast as on any day: the median, and nearly all.

        Not the slowest: this machine has two cores for all the services, the stores and the load.
        """
        seconds = self.system.database.value(
            "SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) FROM ("
            " SELECT extract(epoch FROM updated_at - created_at)::float8 AS seconds FROM applications"
            " WHERE id = ANY (%s::uuid[])) AS waited",
            sorted(self.seen.accepted.keys() - but),
        )
        for share, found, most in zip(("half", "one in twenty"), seconds, (NORMAL_SECONDS, BUSY_SECONDS), strict=True):
            self.demand(found < most, f"{share} of the applications waited for {found:.1f} s or more")

    def demand_ready(self, within: float, but: Sequence[str] = ()) -> None:
        """Demand that every process says within so many seconds that it is ready; all are asked at the same time.

        Those in `but` were killed and join their groups again: they have `REJOINED_SECONDS`.
        """

        def demand(name: str) -> None:
            ready = self.system.processes[name].ready
            seconds = REJOINED_SECONDS if name in but else within
            self.demand_soon(lambda: ready()[0] == 200, seconds, f"{name} is not ready again")

        at_once(demand, list(self.system.processes))

    def says(self, service: str, words: str) -> bool:
        """Whether a service says that it is not ready, and why. Raises httpx's errors."""
        status, said = self.system.ready(service)
        return status == 503 and words in str(said)

    def come_to_rest(self) -> None:
        """Wait for the end of the load, until nothing is on its way any more, and until every service is ready again.

        Then look at every application again. What is not at rest in time is a violation. Who is not ready is asked
        until the checker can tell that it is too late.
        """
        self.at_rest = True
        self.demand(self.sent(), "the load did not end: some post was never answered")
        left = max(AT_REST_SECONDS_MIN, self.restored_at + self.scenario.at_rest_seconds - time.time())
        self.demand_soon(self.is_quiet, left, "not at rest")
        bound = self.healed_at + (RESTART_SECONDS if self._killed else RECOVER_SECONDS) + LATE_SECONDS
        with suppress(AssertionError):
            eventually(self._all_said_ready, bound - time.time())
        self.seen.end()
        self.recovery_seconds = self._recovery()
        self.journal.write(*processes.measure(self.system.judged.processes))

    def applications(self) -> list[dict[str, Any]]:
        """The rows of what this run's load was answered is accepted."""
        return self.system.database.rows(
            "SELECT id, status, cibil_score, version FROM applications WHERE id = ANY (%s::uuid[])",
            list(self.seen.accepted),
        )

    def is_quiet(self) -> bool:
        """Whether everything accepted is decided, the outbox is empty and nobody has anything left to read."""
        pending = "SELECT EXISTS (SELECT FROM applications WHERE status = 'PENDING')"
        return (
            not self.system.database.value(pending)
            and self.system.database.unpublished() == 0
            and self.system.broker.lag() == 0
        )

    def _all_said_ready(self) -> bool:
        """Whether every process has answered the probes of each second that it is ready, since all was healed."""
        return self.seen.all_ready_since(self.healed_at)

    def _recovery(self) -> float:
        """As the class says of `recovery_seconds`, by the database's clock."""
        last = self.system.database.value(
            "SELECT extract(epoch FROM max(updated_at))::float8 FROM applications"
            " WHERE created_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)",
            self.began_at,
            max(self.healed_at, self.restored_at),
        )
        first = self.system.database.value(
            "SELECT extract(epoch FROM min(created_at))::float8 FROM applications WHERE created_at > to_timestamp(%s)",
            self.restored_at,
        )
        return round(max(0.0, (last or 0.0) - self.restored_at, (first or 0.0) - self.restored_at), 2)


def _found(truth: Callable[[], object]) -> object:
    try:
        return truth()
    except (httpx.HTTPError, psycopg.OperationalError):
        return False
