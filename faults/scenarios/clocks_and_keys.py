"""A service whose clock is wrong, and services whose keys are.

Invariant: a service is as it should be again when a run is over.
"""

import base64
import json
import os
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Final

from faults.build import CLOCK_OFF
from faults.plan import SHORT
from faults.scenario import AT_REST_SECONDS, Run, Spoilt, scenario
from faults.systems import with_publisher_alone
from harness.broker import SUBMITTED, SUBMITTED_DLQ, RawMessage
from harness.journal import SERVICES, Planted
from prequal.domain.pan import Pan
from prequal.local.keys import generate
from prequal.ops.encryption_keys import make_known
from prequal.record.acts import operator
from prequal.security.pan_encryption import KeyRing

OFF_SECONDS: Final = 3660
REFUSED_TO_START: Final = 2
KEYS: Final = (("api", "ENCRYPTION_KEY"), ("api", "PAN_HASH_KEY"), ("credit", "ENCRYPTION_KEY"))
"""Who has which key; each is wrong once."""


def clock_off(service: str) -> Callable[[Run], None]:
    """A scenario in which one service's clock is an hour fast or slow while it works."""

    def act(run: Run) -> None:
        seconds = run.chance.choice([-OFF_SECONDS, OFF_SECONDS])
        _restart(run, service, **{CLOCK_OFF: str(seconds)})
        if abs(_last_start(run, service) - seconds - time.time()) > OFF_SECONDS / 2:
            raise Spoilt(f"the clock of {service} is not off")
        run.load()
        run.sent()
        run.demand_soon(run.is_quiet, AT_REST_SECONDS, "the load was not decided under a clock that is off")
        republished = run.system.metric("publisher", "events_republished_total")
        _restart(run, service)
        run.come_to_rest()
        run.demand(republished == 0, f"{republished:g} events were republished because of a clock")
        run.demand(run.system.database.count("outbox_parked") == 0, "events were parked because of a clock")
        run.demand_normal_time()

    return act


for name in SERVICES:
    scenario(17, f"clock-off-in-{name}", volume=SHORT)(clock_off(name))


@scenario(21, "unknown-key", outage=(6.0, 3.0), own_system=True, opens=with_publisher_alone)
def unknown_key(run: Run) -> None:
    """A PAN is encrypted with a key that nobody gave the credit service: its partition waits, with no dead letter."""
    key = os.urandom(32)
    with run.fault(troubled=("credit",), killed=("credit", "publisher")) as fault:
        run.system.freeze("publisher")
        run.load(SHORT)
        run.sent()
        (event, *_) = run.system.database.rows("SELECT payload::jsonb AS event FROM outbox_events ORDER BY id LIMIT 1")
        _publish_encrypted_again(run, event["event"], key)
        run.system.thaw("publisher")
        run.demand_soon(
            lambda: run.system.metric("credit", "consumer_partitions_without_key") == 1, 10, "no partition waits"
        )
        run.load()
        run.wait(run.outage_seconds)
        run.demand_soon(lambda: run.says("credit", "wait for an encryption key"), 10, "credit did not say so")
        run.demand(run.system.broker.lag() > 0, "the offset did not wait")
        run.demand(run.system.broker.published(SUBMITTED_DLQ) == 0, "a message became a dead letter for want of a key")
        run.demand(any(row["status"] != "PENDING" for row in run.applications()), "the other partitions waited too")
        run.system.terminate("credit")
        fault.restore()
        make_known(run.system.database_url, operator(), "ENCRYPTION_KEY", key)
        run.system.start("credit", ENCRYPTION_KEYS_RETIRED=base64.b64encode(key).decode())
    run.come_to_rest()
    run.demand(run.system.broker.published(SUBMITTED_DLQ) == 0, "a message became a dead letter in the end")
    _restart(run, "credit")


@scenario(21, "wrong-key")
def wrong_key(run: Run) -> None:
    """A service is started with a key that is not the database's: it says so and does not start."""
    run.load()
    run.some_moment()
    with run.load_meanwhile(10.0):
        for service, setting in run.chance.sample(KEYS, len(KEYS)):
            _start_with_wrong_key(run, service, setting)
    run.come_to_rest()


def _start_with_wrong_key(run: Run, service: str, setting: str) -> None:
    with run.fault(killed=(service,)) as fault:
        run.system.terminate(service)
        run.system.launch(service, **{setting: generate()[setting]})
        code = run.system.exit_code(service, 15)
        run.demand(code == REFUSED_TO_START, f"{service} with a wrong {setting} ended with {code}")
        words = run.system.child(service).last_sentence()
        run.demand(setting in words and "is not the key" in words, f"{service} said: {words}")
        fault.restore()
        run.system.start(service)


def _last_start(run: Run, service: str) -> float:
    """When a service was started last, in seconds since 1970, as its log says."""
    lines = run.system.data.log(service).read_text().splitlines()
    starts = [record for record in map(json.loads, lines) if record["event"] == "starting"]
    return datetime.fromisoformat(starts[-1]["timestamp"]).timestamp()


def _restart(run: Run, service: str, **environment: str) -> None:
    with run.fault(killed=(service,)):
        run.system.restart(service, **environment)


def _publish_encrypted_again(run: Run, event: dict[str, str], key: bytes) -> None:
    """The application's own event, its PAN encrypted with another key, comes before the real one."""
    application_id = uuid.UUID(event["application_id"])
    pan = Pan(str(run.seen.accepted[str(application_id)]["pan_number"]))
    token = base64.b64encode(KeyRing(key).encrypt(pan, application_id)).decode()
    before = run.system.broker.published(SUBMITTED)
    value = json.dumps(event | {"pan_number_encrypted": token}).encode()
    run.system.broker.publish(SUBMITTED, [RawMessage(value, str(application_id).encode())])
    for message in run.system.broker.read(SUBMITTED, before + 1):
        if message.value() == value:
            run.journal.write(Planted(SUBMITTED, message.partition() or 0, message.offset() or 0))
