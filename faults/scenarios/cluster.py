"""Three brokers: one of them killed, each in its turn, and two at once.

Invariant: no service is restarted.
"""

from typing import Final

from faults.plan import Volume
from faults.scenario import Run, scenario
from faults.scenarios.stores import pids
from faults.systems import ClusterSystem
from harness.journal import SERVICES

DECIDED_SECONDS: Final = 40.0
"""Within which an application is decided while one broker of three is gone: the others must notice and take over.

Three brokers on two cores: twice what it takes when the machine has nothing else to do.
"""
RATE: Final = 10.0
WHOLE_SECONDS: Final = 60.0


@scenario(24, "each-of-three-brokers-killed", outage=(10.0, 4.0), own_system=True, opens=ClusterSystem)
def each_killed(run: Run) -> None:
    """One broker after the other dies and comes back: nothing stops."""
    cluster, lives = _cluster(run), pids(run)
    run.load()
    for name in run.chance.sample(list(cluster.nodes), len(cluster.nodes)):
        run.load(Volume(round(run.outage_seconds * RATE), RATE))
        with run.fault(troubled=SERVICES) as fault:
            cluster.kill(name)
            run.wait(run.outage_seconds)
            fault.restore()
            cluster.start(name)
            run.demand_soon(cluster.is_whole, WHOLE_SECONDS, f"{name} did not catch up")
    run.come_to_rest()
    run.demand_all_accepted()
    slowest = run.system.database.value(
        "SELECT max(extract(epoch FROM updated_at - created_at))::float8 FROM applications WHERE id = ANY (%s::uuid[])",
        list(run.seen.accepted),
    )
    run.demand(slowest <= DECIDED_SECONDS, f"an application waited {slowest:.1f} s")
    run.demand(lives == pids(run), "a service did not survive it")


@scenario(24, "two-of-three-brokers-killed", outage=(20.0, 6.0), own_system=True, opens=ClusterSystem)
def two_killed(run: Run) -> None:
    """Two brokers die: applications are taken all the same, and flow again when one of the two is back."""
    cluster, lives = _cluster(run), pids(run)
    gone = run.chance.sample(list(cluster.nodes), 2)
    run.load()
    run.some_moment()
    with run.fault(troubled=SERVICES) as fault:
        for name in gone:
            cluster.kill(name)
        run.load(Volume(round(run.outage_seconds * RATE), RATE))
        run.wait(run.outage_seconds)
        run.demand(run.system.database.count("outbox_events") > 0, "the outbox did not grow")
        fault.restore()
        cluster.start(gone[0])
        run.sent()
        run.demand_soon(run.is_quiet, 60, "nothing flowed with two of three")
        cluster.start(gone[1])
        run.demand_soon(cluster.is_whole, WHOLE_SECONDS, f"{gone[1]} did not catch up")
    run.come_to_rest()
    run.demand_all_accepted()
    run.demand(lives == pids(run), "a service did not survive it")


def _cluster(run: Run) -> ClusterSystem:
    assert isinstance(run.system, ClusterSystem)
    return run.system
