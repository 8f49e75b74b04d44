"""`prequal up`, whole: it starts, shows, restarts, stops, and leaves nothing behind."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prequal.local.keys import generate
from tests.local.machine import Up, lives
from tests.support.waiting import eventually

NAMES = {"postgres", "kafka", "api", "credit", "decision", "publisher"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("house"))
    yield up.start().until_ready()
    up.end()


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def environment(pid: int) -> set[str]:
    return {pair.split("=")[0] for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair}


def status(up: Up) -> Any:
    """What `prequal status` says once everything is well; None before."""
    command = [sys.executable, "-m", "prequal", "status", "--json"]
    done = subprocess.run(command, cwd=up.folder, capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_run_file_names_the_workers_themselves(running: Up) -> None:
    processes = running.processes()

    assert set(processes) == NAMES
    assert "bin/postgres -D" in command_line(processes["postgres"]["pid"])
    assert "kafka.Kafka" in command_line(processes["kafka"]["pid"])
    assert command_line(processes["api"]["pid"]).endswith("-m prequal api ")


def test_run_file_says_how_to_reach_the_stores_to_its_owner_only(running: Up) -> None:
    content = running.run_file()

    assert content["database_url"].startswith("postgresql://prequal:")
    assert content["database_url"].endswith(f"@127.0.0.1:{running.ports['POSTGRES_PORT']}/prequal")
    assert content["kafka_bootstrap_servers"] == f"127.0.0.1:{running.ports['KAFKA_PORT']}"
    assert stat.S_IMODE((running.folder / ".prequal" / "run.json").stat().st_mode) == 0o600


def test_process_is_told_only_the_keys_it_needs(running: Up) -> None:
    told = {name: environment(running.processes()[name]["pid"]) for name in NAMES - {"postgres", "kafka"}}

    assert {"ENCRYPTION_KEY", "PAN_HASH_KEY"} <= told["api"]
    assert "ENCRYPTION_KEY" in told["credit"]
    assert "PAN_HASH_KEY" not in told["credit"]
    assert not {"ENCRYPTION_KEY", "PAN_HASH_KEY"} & (told["decision"] | told["publisher"])


def test_first_start_shows_one_application_of_each_outcome(running: Up) -> None:
    shown = eventually(lambda: text if "Try next" in (text := running.output.read_text()) else "")

    assert all(outcome in shown for outcome in ("PRE_APPROVED", "MANUAL_REVIEW", "REJECTED"))
    assert "curl" in shown


@pytest.mark.parametrize("name", sorted(NAMES))
def test_child_that_is_killed_is_started_again_within_two_seconds(running: Up, name: str) -> None:
    before = running.processes()[name]["pid"]

    os.kill(before, signal.SIGKILL)

    eventually(lambda: running.processes()[name]["pid"] != before, within=2)
    assert f"{name} was ended by SIGKILL: starting it again" in running.output.read_text()
    eventually(lambda: f"{name} is back" in running.output.read_text(), within=30)


def test_status_tells_what_runs(running: Up) -> None:
    overview = eventually(lambda: status(running), within=30)

    assert {process["name"] for process in overview["processes"]} == NAMES
    assert set(overview["database"]) >= {"outbox_waiting", "outbox_parked", "applications", "decisions_last_minute"}
    assert set(overview["consumer_lag"]) == {"credit-service-group", "decision-service-group"}


def test_second_up_in_the_same_folder_is_one_sentence(running: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prequal", "up"], cwd=running.folder, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "Another `prequal up` works in" in done.stderr


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_signal_stops_everything_with_exit_code_0(house: Up, with_signal: signal.Signals) -> None:
    house.start().until_ready()
    pids = [process["pid"] for process in house.processes().values()]
    began = time.monotonic()

    code = house.end(with_signal)

    assert code == 0
    assert time.monotonic() - began < 15
    assert not any(map(lives, pids))
    assert house.left() == []
    assert not (house.folder / ".prequal" / "run.json").exists()


@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.7, 1.0, 1.6, 2.2, 3.0])
def test_signal_in_the_middle_of_starting_stops_everything(house: Up, seconds: float) -> None:
    house.start()
    time.sleep(seconds)  # whatever it is just doing: the middle has no name

    assert house.end() == 0
    assert house.left() == []


def test_reader_that_leaves_does_not_hold_the_end(house: Up) -> None:
    reader, house.stdout = os.pipe()
    house.start()
    os.close(house.stdout)
    os.close(reader)
    eventually(house.ready, within=60)

    assert house.end() == 0
    assert house.left() == []


def test_frozen_children_do_not_hold_the_end(house: Up) -> None:
    house.start().until_ready()
    for process in house.processes().values():
        os.kill(process["pid"], signal.SIGSTOP)
    began = time.monotonic()

    assert house.end() == 0
    assert time.monotonic() - began < 15
    assert house.left() == []


def test_nobody_outlives_an_up_that_is_killed_and_the_next_one_starts(house: Up) -> None:
    house.start().until_ready()
    house.end(signal.SIGKILL)
    eventually(lambda: house.left() == [], within=5)

    house.start().until_ready()

    assert house.end() == 0


def test_child_that_is_misconfigured_stops_all_with_its_sentence(house: Up) -> None:
    house.start(**generate()).until_ready()
    house.end()

    house.start(**generate())

    assert house.process is not None
    assert house.process.wait(60) == 2
    assert "is not the key this database was made with" in house.output.read_text()
    assert house.left() == []
