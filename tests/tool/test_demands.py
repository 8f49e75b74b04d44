"""What the rows of failovers demand can fail: who is ready, who is asked, and what nobody may show."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from faults import scenario
from faults.load import Load
from faults.plan import Post
from faults.scenarios import failover
from harness.waiting import eventually
from tests.tool.running import a_process, a_run
from tests.tool.scripted import ACCEPTED, HEALTHY, Scripted


def test_all_have_the_same_time_to_be_ready() -> None:
    run, began = a_run(**{name: a_process(ready=lambda: 503) for name in ("api", "api-2", "credit")}), time.monotonic()

    run.demand_ready(2.0)

    assert time.monotonic() - began < 2 * 2.0
    assert sorted(run.unmet) == [f"{name} is not ready again (waited 2 s)" for name in ("api", "api-2", "credit")]


def test_second_process_that_is_not_ready_is_seen() -> None:
    run = a_run(**{"api": a_process(), "api-2": a_process(ready=lambda: 503)})

    run.demand_ready(0.1)

    assert run.unmet == ["api-2 is not ready again (waited 0.1 s)"]


def test_killed_process_has_the_time_to_join_its_group_again_and_the_others_have_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scenario, "REJOINED_SECONDS", 0.5)
    run, began = a_run(**{name: a_process(ready=lambda: 503) for name in ("api", "credit")}), time.monotonic()

    run.demand_ready(0.1, but=("credit",))

    assert time.monotonic() - began >= 0.5
    assert min(run.unmet) == "api is not ready again (waited 0.1 s)"
    assert [each.partition(" is not")[0] for each in sorted(run.unmet)] == ["api", "credit"]


@pytest.mark.parametrize("gauge", failover.OF_THE_DATABASE)
@pytest.mark.parametrize("labels", ["", '{service="publisher"}', '{topic="a",service="publisher"}'])
def test_gauge_of_the_database_is_seen_with_any_labels_in_any_process(gauge: str, labels: str) -> None:
    shown = f"# HELP {gauge} Words.\n# TYPE {gauge} gauge\n{gauge}{labels} 0.0\n"

    assert failover._shown(a_run(api=a_process(), publisher=a_process(shown))) == {gauge}
    assert not failover._shown(a_run(api=a_process(f"# TYPE {gauge} gauge\n{gauge}_of_another 1.0\n")))


def test_load_asks_both_processes_of_a_service_in_turn_and_probes_each() -> None:
    def answers(request: bytes) -> bytes:
        return ACCEPTED if request.startswith(b"POST") else HEALTHY

    journal: Any = SimpleNamespace(write=lambda *_: None, note=lambda *_: None)
    with Scripted(answers) as first, Scripted(answers) as second:
        load = Load(dict.fromkeys(("api", "credit", "decision", "publisher"), first.port), journal, iter(range(100)))
        load.share("api", second.port)
        load.begin([Post(0.0, {}, f"key-{number}") for number in range(6)])
        assert load.sent(5)
        eventually(lambda: b"GET /ready HTTP/1.1" in second.requests, 5)
        load.end()

    assert [each.requests.count(b"POST /applications HTTP/1.1") for each in (first, second)] == [3, 3]
    assert not load.all_ready_since(1.0)  # nobody has said so in words
