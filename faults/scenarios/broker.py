"""The broker frozen, and killed.

Neighbours: `faults.watch` looks on meanwhile.
Invariant: nobody who posts notices any of it.
"""

from typing import Final

from faults.plan import Volume
from faults.scenario import Run, scenario
from faults.watch import Watch

TRICKLE: Final = 2.0
"""Posts a second that go on for as long as the broker is away, after the load."""


def frozen(run: Run) -> None:
    """The broker takes connections and answers nothing."""
    run.load()
    run.some_moment()
    with Watch(run) as watch:
        with run.fault(away=("kafka",)) as fault:
            run.rig.freeze("kafka")
            _stay_away(run)
            fault.mend()
            run.rig.thaw("kafka")
            run.rig.child("kafka").wait_until_ready()
        run.settle()
    _nobody_noticed(run, watch)


def killed(run: Run) -> None:
    """The broker is not there."""
    run.load()
    run.some_moment()
    with Watch(run) as watch:
        with run.fault(away=("kafka",)) as fault:
            run.rig.kill("kafka")
            _stay_away(run)
            fault.mend()
            run.rig.start("kafka")
        run.settle()
    _nobody_noticed(run, watch)


for name, outage in {"broker-frozen": (20.0, 8.0), "broker-frozen-for-long": (120.0, 15.0)}.items():
    scenario(7, name, outage=outage)(frozen)

for name, outage in {"broker-killed": (20.0, 6.0), "broker-away-for-long": (600.0, 15.0)}.items():
    scenario(8, name, outage=outage)(killed)


def _stay_away(run: Run) -> None:
    run.load(Volume(round(run.outage_seconds * TRICKLE), TRICKLE))
    run.wait(run.outage_seconds)


def _nobody_noticed(run: Run, watch: Watch) -> None:
    _all_accepted(run)
    run.demand(watch.untold_most > run.outage_seconds * TRICKLE / 2, "the outbox did not grow")
    watch.demand_breaker("publisher", "kafka_producer")


def _all_accepted(run: Run) -> None:
    """POST stays 202: nothing was refused for want of the broker, and no answer was lost."""
    refused = {seen.status for seen in run.seen.answers if seen.status >= 500}
    run.demand(not refused, f"posts were answered {refused}")
    run.demand(not run.seen.lost, f"posts got no answer: {run.seen.lost[:3]}")
