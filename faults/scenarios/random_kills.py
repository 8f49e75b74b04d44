"""Row 25: a service killed at random every second, PostgreSQL or the broker every fifteenth, under load."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

from faults.plan import Volume
from faults.scenario import Run, scenario
from faults.systems import FaultSystem
from harness.journal import SERVICES, Fault
from harness.own_system import EVERYBODY, STORES
from harness.system import at_once

RATE = 20.0
SERVICE_EVERY_SECONDS, STORE_EVERY_SECONDS = 1.0, 15.0


class Killer:
    """Kills and starts again.

    A service is launched again at once, and may be killed again before it is ready. A store is back before another one
    is killed. Each death of a service is written down as a fault of its own, so that it is excused until it is back.
    """

    def __init__(self, run: Run) -> None:
        self._system: FaultSystem = run.system
        self._journal = run.journal
        self._chance = run.chance
        self._store = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._coming_back: Future[None] | None = None

    def work(self, seconds: float) -> None:
        """Kill for so many seconds."""
        began = time.monotonic()
        store_at = STORE_EVERY_SECONDS / 2
        beat = 0
        while (now := time.monotonic() - began) < seconds:
            if now >= store_at:
                self._kill_store()
                store_at += STORE_EVERY_SECONDS
            self._kill_service()
            beat += 1
            time.sleep(max(0.0, began + beat * SERVICE_EVERY_SECONDS - time.monotonic()))

    def restore(self) -> None:
        """Bring everything back, and return when all of it is ready."""
        self._store.shutdown()
        if self._coming_back is not None:
            self._coming_back.result()
        at_once(self._bring_back, EVERYBODY)

    def _kill_service(self) -> None:
        name = self._chance.choice(SERVICES)
        death = f"death {self._system.killed.total() + 1}"
        self._journal.write(Fault("begin", death, time.time(), killed=(name,)))
        self._system.kill(name)
        self._system.launch(name)
        self._journal.write(Fault("heal", death, time.time()))

    def _kill_store(self) -> None:
        if self._coming_back is not None and not self._coming_back.done():
            return
        name = self._chance.choice(STORES)
        self._system.kill(name)
        self._coming_back = self._store.submit(self._bring_back, name)

    def _bring_back(self, name: str) -> None:
        if self._system.runs(name):
            self._system.child(name).wait_until_ready()
        else:
            self._system.start(name)


@scenario(row=25, name="random-kills", outage=(120, 25), own_system=True)
def random_kills(run: Run) -> None:
    """See the row."""
    killer = Killer(run)
    run.load(Volume(int(RATE * run.outage_seconds), RATE))
    with run.fault(troubled=SERVICES) as fault:
        killer.work(run.outage_seconds)
        fault.restore()
        killer.restore()
    run.come_to_rest()
    run.demand(sum(run.system.killed.values()) >= run.outage_seconds / 2, "hardly anything was killed")
