"""The broker frozen, killed, and lost with all that it held.

Invariant: nobody who posts notices any of it.
"""

from typing import Final

from faults.plan import Volume
from faults.scenario import Run, Spoilt, scenario
from faults.watch import Watch
from harness.journal import SERVICES
from prequal.core.topology import GROUPS

UNREAD_SECONDS: Final = 0.7
TRICKLE: Final = 2.0
"""Posts a second that go on for as long as the broker is away, after the load."""


def frozen(run: Run) -> None:
    """The broker takes connections and answers nothing."""
    run.load()
    run.some_moment()
    with Watch(run) as watch:
        with run.fault(away=("kafka",)) as fault:
            run.system.freeze("kafka")
            _stay_away(run)
            fault.restore()
            run.system.thaw("kafka")
            run.system.child("kafka").wait_until_ready()
        run.come_to_rest()
    _nobody_noticed(run, watch)


def killed(run: Run) -> None:
    """The broker is not there."""
    run.load()
    run.some_moment()
    with Watch(run) as watch:
        with run.fault(away=("kafka",)) as fault:
            run.system.kill("kafka")
            _stay_away(run)
            fault.restore()
            run.system.start("kafka")
        run.come_to_rest()
    _nobody_noticed(run, watch)


for name, outage in {"broker-frozen": (20.0, 12.0), "broker-frozen-for-long": (120.0, 15.0)}.items():
    scenario(7, name, outage=outage)(frozen)

for name, outage in {"broker-killed": (20.0, 6.0), "broker-away-for-long": (600.0, 15.0)}.items():
    scenario(8, name, outage=outage)(killed)


@scenario(9, "broker-lost", outage=(10.0, 4.0), own_system=True, at_rest_seconds=120.0)
def lost(run: Run) -> None:
    """The broker and all that it held are gone for good: an empty one, of another cluster id, takes its place."""
    run.load()
    run.some_moment()
    lives = {name: run.system.child(name).pid for name in SERVICES}
    with run.fault(away=("kafka",), killed=("credit",), lost=tuple(GROUPS)) as fault:
        run.system.freeze("credit")  # so that something is published and not yet read
        run.wait(UNREAD_SECONDS)
        if not run.system.broker.lag():
            raise Spoilt("nothing was published and not read")
        run.system.lose_broker()
        run.system.thaw("credit")
        _stay_away(run)
        fault.restore()
        run.system.start("kafka")
        run.system.job("topics")
    run.come_to_rest()
    run.demand_all_accepted()
    run.demand(run.system.metric("publisher", "events_republished_total") > 0, "nothing was republished")
    run.demand(lives == {name: run.system.child(name).pid for name in SERVICES}, "a service did not survive it")


def _stay_away(run: Run) -> None:
    run.load(Volume(round(run.outage_seconds * TRICKLE), TRICKLE))
    run.wait(run.outage_seconds)


def _nobody_noticed(run: Run, watch: Watch) -> None:
    run.demand_all_accepted()
    run.demand(watch.unpublished_most > run.outage_seconds * TRICKLE / 2, "the outbox did not grow")
    watch.demand_breaker("publisher", "kafka_producer")
    watch.demand_short_transactions()
