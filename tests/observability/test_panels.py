"""Every panel of every board beside a system that runs: it has data, and the data are what the stores say."""

import contextlib
import shutil
import time
from collections.abc import Iterator

import httpx
import pytest

from harness.applications import an_application
from harness.broker import SUBMITTED, SUBMITTED_DLQ, RawMessage
from harness.load import Load, applications
from harness.waiting import eventually

from .conftest import Watched
from .day import PANELS, QUERIES, Day
from .stated import KNOWN_TO_THE_PROCESS_ALONE, POISON, STATED, TRANSACTIONS, sql
from .watching import WAIT_SECONDS, rules

APPLICATIONS = 240
BEFORE_SECONDS = 30.0
"""So long before its first application the day begins: whatever was scraped before is in it, with its counters at 0."""
SEEN_SECONDS = 20.0
"""Within which a number that has come to rest is shown."""
OURS = "application_name ~ ' [0-9a-f]{12}$' OR application_name = 'prequal-api read'"


@pytest.fixture(scope="module")
def day(watched: Watched) -> Day:
    rig, prometheus = watched.rig, watched.prometheus
    day = Day(watched, time.time() - BEFORE_SECONDS)
    day.transactions.update(TRANSACTIONS(day))
    load = Load(rig.url)
    load.post(applications(APPLICATIONS))
    load.wait()
    load.close()
    day.posts.update({str(status): count for status, count in load.statuses.items()})
    day.posts.update(_refusals(rig.url))
    day.reads.update(_a_look_for_what_is_not_there(rig.url))
    rig.broker.publish(SUBMITTED, [RawMessage(b"{", str(number).encode()) for number in range(POISON)])
    eventually(lambda: rig.broker.published(SUBMITTED_DLQ) == POISON)
    eventually(lambda: rig.database.value("SELECT count(*) FROM applications WHERE status = 'PENDING'") == 0, within=30)
    expected = {
        "sum(applications_by_status_total)": rig.database.count("applications"),
        "sum(http_requests_total{route=~'/applications.*'})": (day.posts + day.reads).total(),
        "sum(kafka_messages_published_total)": 2 * rig.database.count("applications"),
        "sum(dead_letters_total)": POISON,
        "max(dead_letters_stored)": POISON,
        "max(applications_undecided)": 0,
        "sum(max by (group, partition) (kafka_consumer_lag))": 0,
    }
    for query, value in expected.items():
        eventually(lambda query=query, value=value: prometheus.number(query) == value, SEEN_SECONDS)  # type: ignore[misc]
    return day


def _refusals(url: str) -> Iterator[str]:
    """Post what is refused; the statuses."""
    twice = an_application(pan_number="ABCDE1234F")
    with httpx.Client(base_url=url, timeout=15, trust_env=False) as client:
        for body in (twice, twice, an_application(loan_type="BOAT"), an_application(monthly_income_inr=-1)):
            yield str(client.post("/applications", json=body).status_code)
        yield str(client.post("/applications", content=b"{", headers={"Content-Type": "application/json"}).status_code)


def _a_look_for_what_is_not_there(url: str) -> Iterator[str]:
    nowhere = f"{url}/applications/01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44/status"
    yield str(httpx.get(nowhere, timeout=15, trust_env=False).status_code)


@pytest.mark.parametrize(("panel", "legend"), QUERIES)
def test_panel_has_data(day: Day, panel: str, legend: str) -> None:
    eventually(lambda: day.drawn(panel, legend))


def test_every_panel_is_compared_or_has_a_reason_not_to_be() -> None:
    compared = {panel for panel, _ in STATED}

    assert compared | set(KNOWN_TO_THE_PROCESS_ALONE) == set(PANELS)
    assert not compared & set(KNOWN_TO_THE_PROCESS_ALONE)
    assert set(STATED) == {(panel, legend) for panel, legend in QUERIES if panel in compared}


@pytest.mark.parametrize(("panel", "legend"), STATED)
def test_panel_agrees_with_the_stores(day: Day, panel: str, legend: str) -> None:
    stated = STATED[panel, legend]

    def agrees() -> bool:
        shown = day.shown(panel, legend)
        expected = stated.expected(day, shown)
        return bool(stated.compared(shown, expected) == expected)

    with contextlib.suppress(AssertionError):  # what does not come to agree is shown below
        eventually(agrees, SEEN_SECONDS)

    shown = day.shown(panel, legend)
    expected = stated.expected(day, shown)
    assert stated.compared(shown, expected) == expected


def test_our_connections_are_those_that_the_server_has(day: Day) -> None:
    def shown() -> float:
        at_work = day.shown("prequal-database: Connections by service", "{{service}} {{use}} at work")
        idle = day.shown("prequal-database: Connections by service", "{{service}} {{use}} idle")
        return sum(at_work.values()) + sum(idle.values())

    count = sql(f"SELECT '', count(*) FROM pg_stat_activity WHERE {OURS}")

    assert eventually(lambda: shown() == count(day)[""], SEEN_SECONDS)


def test_prometheus_can_evaluate_every_rule(day: Day) -> None:
    eventually(lambda: day.watched.prometheus.unhealthy_rules() == [])


def test_system_that_is_well_raises_no_alarm_but_for_the_poison_it_was_given(day: Day) -> None:
    """Left out are budgets and latency, which say how busy the machine is, and the console, of which there is none."""
    left_out = {"HighLatency", "ConsoleDown"}
    judged = [alert for alert in rules() if "BudgetBurns" not in alert and alert not in left_out]
    prometheus = day.watched.prometheus
    disk = shutil.disk_usage(day.rig.folder)
    full = {"DiskFilling"} if disk.free < 0.2 * disk.total else set()

    def true_now() -> set[str]:
        return {alert for alert in judged if prometheus.speaks(alert)}

    assert eventually(lambda: true_now() == {"DeadLettersRising"} | full, SEEN_SECONDS)
    assert eventually(lambda: "DeadLettersRising" in prometheus.fired(day.since), WAIT_SECONDS + SEEN_SECONDS)
    assert set(prometheus.fired(day.since)) & set(judged) - full == {"DeadLettersRising"}


def test_every_event_is_counted_once_on_its_way(day: Day) -> None:
    total, accepted = day.rig.database.count("applications"), day.posts["202"]
    counted = {
        "applications_submitted_total": total,
        f"kafka_messages_published_total{{topic='{SUBMITTED}'}}": total,
        "kafka_messages_published_total": 2 * total,
        "kafka_messages_consumed_total{outcome='done'}": 2 * total,
        "kafka_messages_consumed_total{outcome='dead'}": POISON,
        "decision_duration_seconds_count": total,
        "cibil_score_distribution_count": total,
        "http_request_duration_seconds_count{route='/applications', outcome='ok'}": accepted,
        "http_request_duration_seconds_count{route='/applications'}": day.posts.total(),
        "http_request_duration_seconds_count{route!='/applications', outcome='refused'}": day.reads.total(),
    }
    for series, number in counted.items():
        query = f"sum({series})"
        assert eventually(lambda query=query: day.watched.prometheus.ask(query)) == {frozenset(): number}, query  # type: ignore[misc]
