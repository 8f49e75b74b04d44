"""What `make bench` says: when a rate holds, and each figure's ratio to a limit of the same run."""

import os
from dataclasses import replace

import pytest

from bench.floor import Floor
from bench.suite import SUSTAINED, Result, lines_of

FLOOR = Floor(
    inserts_a_second=8_000.0,
    hops_a_second=40_000.0,
    commit_ms=1.0,
    hop_ms=0.5,
    cpu_us={"postgres": 50.0, "kafka": 10.0, "client": 20.0},
)
HELD = Result(
    name=f"{SUSTAINED}4,000/s",
    due_seconds=20.0,
    decided_a_second=4_000.0,
    decided_seconds=20.4,
    refused=0,
    post_ms=(2.0, 9.0),
    final_ms=(8.0, 20.0),
    whole_ms=(10.0, 25.0),
    late_p99_ms=0.4,
    cpu_us={"postgres": 100.0, "kafka": 40.0, "api": 90.0, "client": 60.0},
    memory_mib={"postgres": 30.0, "client": 80.0},
)


def test_floor_is_the_cores_over_the_cpu_of_bare_work_and_the_sum_of_its_steps() -> None:
    assert FLOOR.decisions_a_second == (os.cpu_count() or 1) * 1e6 / 80
    assert (FLOOR.post_ms, FLOOR.final_ms) == (1.0, 4.0)


def test_rate_holds_when_nothing_is_refused_and_all_is_decided_as_it_comes() -> None:
    assert HELD.holds
    assert not replace(HELD, refused=1).holds
    assert not replace(HELD, decided_seconds=21.5).holds
    assert not replace(HELD, whole_ms=(300.0, 1_200.0)).holds


def test_each_figure_stands_beside_its_ratio_to_a_limit() -> None:
    printed = "\n".join(lines_of(HELD, FLOOR))

    assert "0.50 of bare inserts, 0.10 of bare hops" in printed
    assert "2.0 times the inserts' in PostgreSQL, 4.0 times the hops' in Kafka" in printed
    assert "p50 is 2.0 times a commit" in printed
    assert "p50 is 2.0 times two hops and three commits" in printed
    assert "p50 is 2.0 times two hops and four commits" in printed


def test_clients_cpu_stands_beside_the_systems_and_is_no_part_of_it() -> None:
    assert "CPU µs a decision: 230 without the client's: postgres 100, kafka 40, api 90, client 60" in "\n".join(
        lines_of(HELD, FLOOR)
    )


@pytest.mark.parametrize(("name", "due", "is_said"), [("saturation", 0.0, True), ("200/s", 20.0, False)])
def test_share_of_the_limits_is_said_of_loads_that_go_as_fast_as_they_can(name: str, due: float, is_said: bool) -> None:
    printed = "\n".join(lines_of(replace(HELD, name=name, due_seconds=due), FLOOR))

    assert ("of bare inserts" in printed) is is_said
