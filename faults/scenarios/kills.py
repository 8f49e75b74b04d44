"""Processes killed at each boundary of a commit, an acknowledgement or an offset.

Invariant: a run in which the process did not die where it should is no run.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Final

from confluent_kafka import Message

from faults.load import Seen
from faults.plan import SHORT, Post, Volume
from faults.scenario import Run, Spoilt, scenario
from faults.systems import with_publisher_alone
from prequal.core.failpoints import Place
from prequal.core.topology import ROUTES, topic_of
from prequal.domain.events import EventType

PASSAGES: Final = 20
"""It dies at one of the first so many passages: every load passes each place as often."""

MORE: Final = Volume(40, 50)
KILLED: Final = -9
REFUSED: Final = "ConnectionRefusedError"
DECIDED_VERSION: Final = 2

Demand = Callable[[Run], None]


def dies_at(service: str, place: Place, demand: Demand, asks: Demand | None = None) -> Callable[[Run], None]:
    """A scenario in which `service` dies at some passage of `place`, and is started again as it should be.

    Args:
        service: who dies.
        place: where.
        demand: what must be so when all is at rest.
        asks: what is posted further before that.
    """

    def act(run: Run) -> None:
        with run.fault(killed=(service,)) as fault:
            run.system.arm(service, f"{place}=die@{run.chance.randint(1, PASSAGES)}")
            run.load()
            wait_for_death(run, service)
            fault.restore()
            run.system.start(service)
        if asks is not None:
            run.sent()
            asks(run)
        run.come_to_rest()
        demand(run)

    return act


def wait_for_death(run: Run, service: str) -> None:
    """Wait until the armed service has died, with more load if it takes that. Raises `Spoilt` when it has not."""
    for _ in range(3):
        code = run.system.exit_code(service, run.volume.seconds + 5)
        if code == KILLED:
            return
        if code is not None:
            raise Spoilt(f"{service} ended with {code}, not by its failpoint")
        run.load(MORE)
    raise Spoilt(f"{service} did not pass the place often enough to die")


# ── what the rows demand ────────────────────────────────────────────────────────────────────────────────────────


def ask_again(run: Run) -> None:
    """Row 1: who lost an answer posts again with the same key, once more after it was accepted."""
    lost = {post.key for post, _ in run.seen.lost if post.key}
    run.send([Post(0.0, seen.post.body, seen.post.key) for seen in _accepted(run) if seen.post.key in lost])


def same_application(run: Run) -> None:
    """Row 1: a replay by key returns the same id."""
    lost = {post.key for post, _ in run.seen.lost if post.key}
    ids = {key: {seen.application_id for seen in _accepted(run) if seen.post.key == key} for key in lost}
    run.demand(lost, "no answer was lost though the API died")
    run.demand(all(len(each) <= 1 for each in ids.values()), "a replay by key gave another application")
    run.demand(any(ids.values()), "nothing that was lost was accepted when it was posted again")


def same_application_as_committed(run: Run) -> None:
    """Row 1, after the commit: the application was there already, so that posting again replays its first answer."""
    same_application(run)
    cut = {post.key for post, reason in run.seen.lost if post.key and reason != REFUSED}
    first = {key: next((seen for seen in _accepted(run) if seen.post.key == key), None) for key in cut}
    if not any(seen and seen.replayed for seen in first.values()):
        raise Spoilt("the write whose answers were lost had committed nothing with a key")


def nothing_more(_: Run) -> None:
    """The invariants say it all."""


def published_twice(run: Run) -> None:
    """Row 2: an event that is on its topic twice proves that its publisher or writer died between the two."""
    published = (Counter(_keys(run.system.broker.read(topic_of(event), 0))) for event in ROUTES)
    again = sum(count - 1 for each in published for key, count in each.items() if key in run.seen.accepted)
    run.demand(again > 0, "no event was published twice")


def same_score(run: Run) -> None:
    """Row 3: however often an application was delivered, its reports and its row hold one score."""
    scores: dict[str, set[int]] = {}
    for message in run.system.broker.read(topic_of(EventType.CREDIT_REPORT_GENERATED), 0):
        report = json.loads(message.value() or b"{}")
        scores.setdefault(report["application_id"], set()).add(report["cibil_score"])
    kept = {str(row["id"]): {row["cibil_score"]} for row in run.applications()}
    differ = [each for each, score in kept.items() if scores.get(each) != score]
    run.demand(not differ, f"another score on the topic than in the row: {differ[:5]}")


def version_moved_once(run: Run) -> None:
    """Row 4: `version` moved once, with the status."""
    versions = {row["version"] for row in run.applications()}
    run.demand(versions == {DECIDED_VERSION}, f"versions {versions}")


def redelivered(service: str, demand: Demand) -> Demand:
    """The new process was given again what the dead one had committed, and knew it; and `demand`."""

    def both(run: Run) -> None:
        again = run.system.metric(service, "kafka_messages_consumed_total", 'outcome="duplicate"')
        run.demand(again > 0, "nothing was delivered again")
        demand(run)

    return both


def _accepted(run: Run) -> list[Seen]:
    return [seen for seen in run.seen.answers if seen.application_id]


def _keys(messages: list[Message]) -> list[str]:
    return [bytes(message.key() or b"").decode() for message in messages]


for name, kill in {
    "api-before-begin": dies_at("api", Place.API_BEFORE_BEGIN, same_application, ask_again),
    "api-before-commit": dies_at("api", Place.API_BEFORE_COMMIT, same_application, ask_again),
    "api-after-commit": dies_at("api", Place.API_AFTER_COMMIT, same_application_as_committed, ask_again),
}.items():
    scenario(1, name, volume=SHORT)(kill)

for name, kill in {
    "publisher-before-ack": dies_at("publisher", Place.PUBLISHER_BEFORE_ACK, nothing_more),
    "publisher-after-ack": dies_at("publisher", Place.PUBLISHER_AFTER_ACK, published_twice),
    "publisher-after-archive": dies_at("publisher", Place.PUBLISHER_AFTER_ARCHIVE, nothing_more),
}.items():
    scenario(2, name, volume=SHORT, opens=with_publisher_alone)(kill)

for name, kill in {
    "api-after-ack": dies_at("api", Place.WRITER_AFTER_ACK, published_twice),
    "credit-after-ack": dies_at("credit", Place.WRITER_AFTER_ACK, published_twice),
}.items():
    scenario(2, name, volume=SHORT)(kill)

for name, kill in {
    "credit-before-record": dies_at("credit", Place.CREDIT_BEFORE_RECORD, same_score),
    "credit-after-record": dies_at("credit", Place.CREDIT_AFTER_RECORD, same_score),
    "credit-before-commit": dies_at("credit", Place.CREDIT_BEFORE_COMMIT, same_score),
    "credit-after-commit": dies_at("credit", Place.CREDIT_AFTER_COMMIT, redelivered("credit", same_score)),
    "credit-after-offset": dies_at("credit", Place.CONSUMER_AFTER_OFFSET, same_score),
}.items():
    scenario(3, name, volume=SHORT)(kill)

for name, kill in {
    "decision-before-commit": dies_at("decision", Place.DECISION_BEFORE_COMMIT, version_moved_once),
    "decision-after-commit": dies_at(
        "decision", Place.DECISION_AFTER_COMMIT, redelivered("decision", version_moved_once)
    ),
    "decision-after-offset": dies_at("decision", Place.CONSUMER_AFTER_OFFSET, version_moved_once),
}.items():
    scenario(4, name, volume=SHORT)(kill)
