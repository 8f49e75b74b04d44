"""`prequal up`, whole: it starts, shows, restarts, stops, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from harness.database import Cluster, Database
from harness.ports import free_port
from harness.waiting import eventually
from prequal.core.errors import Transient
from prequal.core.settings import load
from prequal.core.topology import ExitCode
from prequal.local import supervisor
from prequal.local.console import StackConsole
from prequal.local.data_folder import DataFolder
from prequal.local.demo import fresh_pan
from prequal.local.keys import generate
from prequal.local.restarter import PAUSES_SECONDS, done_in_the_end
from prequal.local.settings import UpSettings
from tests.local.machine import READY_WITHIN_SECONDS, Up, is_alive

NAMES = {"postgres", "kafka", "api", "credit", "decision", "publisher", "console"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("stack"))
    program = up.folder / "bin" / "prometheus"
    program.parent.mkdir()
    program.touch(0o755)
    try:
        yield up.start(PATH=f"{program.parent}:{os.environ['PATH']}").until_ready()
    finally:
        up.end()


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def environment(pid: int) -> set[str]:
    return {pair.split("=")[0] for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair}


def status(up: Up) -> Any:
    """What `prequal status` reports once everything is healthy; None before."""
    command = [sys.executable, "-m", "prequal", "status", "--json"]
    done = subprocess.run(command, cwd=up.folder, capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def prequal(up: Up, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command in the folder of a running stack, without any setting."""
    return subprocess.run(
        [sys.executable, "-m", "prequal", *words],
        cwd=up.folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


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


def test_process_gets_only_the_keys_it_needs(running: Up) -> None:
    environments = {name: environment(running.processes()[name]["pid"]) for name in NAMES - {"postgres", "kafka"}}

    assert {"ENCRYPTION_KEY", "PAN_HASH_KEY"} <= environments["api"]
    assert "ENCRYPTION_KEY" in environments["credit"]
    assert "PAN_HASH_KEY" not in environments["credit"]
    assert "REPORT_KEY" in environments["credit"] & environments["decision"]
    assert not {"ENCRYPTION_KEY", "PAN_HASH_KEY"} & (environments["decision"] | environments["publisher"])
    assert "REPORT_KEY" not in environments["api"] | environments["publisher"]


def test_no_simulated_bureau_is_started_and_credit_service_has_no_address_of_one(running: Up) -> None:
    ran: list[str] = []
    for pid in running.left():
        with suppress(OSError):  # a job that has just ended
            ran.append(command_line(pid))

    assert any(each.endswith("-m prequal credit ") for each in ran)
    assert not [each for each in ran if "bureau" in each]
    assert "BUREAU_URL" not in environment(running.processes()["credit"]["pid"])


def test_first_start_shows_one_application_of_each_outcome(running: Up) -> None:
    shown = eventually(lambda: text if "Try next" in (text := running.output.read_text()) else "")

    assert all(outcome in shown for outcome in ("PRE_APPROVED", "MANUAL_REVIEW", "REJECTED"))
    assert "curl" in shown
    assert "Everybody on this machine may post" in shown
    assert f"    prometheus --config.file={running.folder}/.prequal/prometheus/prometheus.yml " in shown


@pytest.mark.parametrize("name", sorted(NAMES))
def test_child_that_is_killed_is_started_again(running: Up, name: str) -> None:
    before = running.processes()[name]["pid"]

    os.kill(before, signal.SIGKILL)

    eventually(lambda: running.processes()[name]["pid"] != before)
    eventually(lambda: f"{name} was ended by SIGKILL: starting it again" in running.output.read_text())
    assert "the last line of its log: " in running.output.read_text()
    eventually(lambda: f"{name} is back" in running.output.read_text(), within=READY_WITHIN_SECONDS)


def test_child_is_started_again_within_two_seconds_however_often_it_ends() -> None:
    assert max(PAUSES_SECONDS) < 2


def test_record_of_what_ran_is_chained_and_verified(running: Up) -> None:
    def verdict() -> Any:
        done = prequal(running, "audit", "verify", "--json")
        return None if done.returncode == ExitCode.UNREACHABLE else json.loads(done.stdout)

    found = eventually(lambda: (made := verdict()) and made["entries"] >= 6 and made)

    assert found["tampering"] is None


def test_status_lists_processes_backlogs_and_lag(running: Up) -> None:
    overview = eventually(lambda: status(running), within=30)

    assert {process["name"] for process in overview["processes"]} == NAMES
    assert set(overview["database"]) >= {"outbox_waiting", "outbox_parked", "applications", "decisions_last_minute"}
    assert overview["dead_letters"] == 0
    assert set(overview["consumer_lag"]) == {"credit-service-group", "decision-service-group"}


@pytest.mark.parametrize("name", ["postgres", "kafka"])
def test_status_shows_a_frozen_store_as_not_ready(running: Up, name: str) -> None:
    eventually(lambda: status(running), within=30)
    pid = running.processes()[name]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        shown = prequal(running, "status", "--json")
    finally:
        os.kill(pid, signal.SIGCONT)

    overview = json.loads(shown.stdout)
    assert shown.returncode == 1
    assert name in {process["name"] for process in overview["processes"] if not process["ready"]}


def test_commands_find_the_running_stack_by_its_run_file(running: Up) -> None:
    application = ("--type", "HOME", "--income", "75000", "--amount", "1500000", "--json")
    done = [
        prequal(running, "migrate", "--json"),
        prequal(running, "topics", "--json"),
        prequal(running, "maintain", "--json"),
        prequal(running, "apply", *application, PREQUAL_PAN=fresh_pan()),
    ]

    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * 4
    assert json.loads(done[1].stdout) == {"created": [], "raised": []}


def test_status_into_a_full_device_is_one_sentence(running: Up) -> None:
    for words in (["status"], ["status", "--json"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "prequal", *words],
                cwd=running.folder,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )

        assert (done.returncode, done.stderr) == (
            2,
            "prequal: The output cannot be written: No space left on device.\n",
        )


def test_disk_of_the_data_folder_is_watched(running: Up) -> None:
    def sizes() -> list[float]:
        address = f"http://127.0.0.1:{running.ports['PUBLISHER_PORT']}/metrics"
        shown = urllib.request.urlopen(address, timeout=30).read().decode().splitlines()
        return [float(line.split()[-1]) for line in shown if "disk_size_bytes{" in line]

    assert eventually(sizes) == [shutil.disk_usage(running.folder).total]


def test_second_up_in_the_same_folder_is_one_sentence(running: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prequal", "up"], cwd=running.folder, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "Another `prequal up` works in" in done.stderr
    assert "PREQUAL_DATA_DIR" in done.stderr


def test_up_that_asks_for_tokens_makes_one_client_and_shows_its_token_once(stack: Up) -> None:
    stack.start(API_AUTHENTICATION="keys").until_ready()
    (token,) = re.findall(r"PREQUAL_TOKEN=(\S+)", stack.output.read_text())
    words = ["apply", "--type", "home", "--income", "75000", "--amount", "1500000"]

    unknown = prequal(stack, *words, PREQUAL_PAN=fresh_pan())
    known = prequal(stack, *words, PREQUAL_PAN=fresh_pan(), PREQUAL_TOKEN=token)
    listed = prequal(stack, "clients", "list")
    added = prequal(stack, "clients", "add", "a second one", "--json")
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['ADMIN_PORT']}/metrics", timeout=5)

    assert (unknown.returncode, known.returncode) == (1, 0), (unknown.stderr, known.stderr)
    assert "UNAUTHENTICATED" in unknown.stderr
    assert "PRE_APPROVED" in stack.output.read_text()
    assert "prequal up" in listed.stdout
    assert metrics.status == 200
    assert f"{stack.ports['ADMIN_PORT']}/docs" in stack.output.read_text()
    assert json.loads(added.stdout)["token"] not in stack.output.read_text()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler of its own for the signal."""
    found = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


def test_signal_while_it_still_loads_ends_it(stack: Up) -> None:
    stack.start()
    assert stack.process is not None
    pid = stack.process.pid
    eventually(lambda: catches(pid, signal.SIGTERM))

    assert stack.end() == 0
    assert stack.left() == []


def test_signal_that_another_thread_receives_ends_the_stack_as_well() -> None:
    end: supervisor.End = SimpleQueue()
    before = signal.signal(signal.SIGUSR1, lambda *_: end.put(None))
    watchdog = threading.Timer(20, end.put, [Transient("the signal was lost")])
    watchdog.start()
    # Later, so that this thread waits by then.
    threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)).start()

    assert supervisor._wait_for_end(end) is None

    watchdog.cancel()
    signal.signal(signal.SIGUSR1, before)


POSTGRES_LOG = ".prequal/logs/postgres.log"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        pytest.param(POSTGRES_LOG, "creating subdirectories", id="making the database"),
        pytest.param(POSTGRES_LOG, "database system is ready", id="starting PostgreSQL"),
        pytest.param("output", "postgres on port", id="migrating"),
        pytest.param("output", "✓ migrate", id="migrated"),
        pytest.param("output", "kafka on port", id="making topics"),
    ],
)
def test_signal_in_the_middle_of_the_first_start_stops_everything(stack: Up, file: str, words: str) -> None:
    stack.start()
    eventually(
        lambda: (stack.folder / file).exists() and words in (stack.folder / file).read_text(),
        within=READY_WITHIN_SECONDS,
    )

    assert stack.end() == 0
    assert stack.left() == []


@pytest.mark.parametrize("words", ["✓ topics", "everything is ready"], ids=["starting the services", "demonstrating"])
def test_signal_in_the_middle_of_a_start_stops_everything(started_before: Up, words: str) -> None:
    started_before.start()
    eventually(lambda: started_before.has_printed(words), within=READY_WITHIN_SECONDS)

    assert started_before.end() == 0
    assert started_before.left() == []


def test_closed_stdout_does_not_delay_the_stop_by_sighup(started_before: Up) -> None:
    reader, started_before.stdout = os.pipe()
    started_before.start()
    os.close(started_before.stdout)
    os.close(reader)
    eventually(started_before.ready, within=READY_WITHIN_SECONDS)

    assert started_before.end(signal.SIGHUP) == 0
    assert started_before.left() == []


def test_frozen_children_do_not_delay_the_stop_by_sigterm(started_before: Up) -> None:
    started_before.start().until_ready()
    for process in started_before.processes().values():
        os.kill(process["pid"], signal.SIGSTOP)
    began = time.monotonic()

    assert started_before.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 15
    assert started_before.left() == []


def test_no_child_outlives_a_killed_up_and_the_next_one_starts_and_stops_by_sigint(started_before: Up) -> None:
    started_before.start().until_ready()
    started_before.end(signal.SIGKILL)
    eventually(lambda: started_before.left() == [])

    started_before.start().until_ready()
    pids = [process["pid"] for process in started_before.processes().values()]
    began = time.monotonic()

    assert started_before.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 15
    assert not any(map(is_alive, pids))
    assert started_before.left() == []
    assert not (started_before.folder / ".prequal" / "run.json").exists()


def test_child_that_is_misconfigured_stops_all_with_its_sentence(started_before: Up) -> None:
    started_before.start(**generate())

    assert started_before.process is not None
    assert started_before.process.wait(READY_WITHIN_SECONDS) == 2
    assert started_before.has_printed("is not the key this database was made with")
    assert started_before.left() == []


# ── the user's own stores ───────────────────────────────────────────────────────────────────────────────────────


def outcome(stack: Up, within: float = READY_WITHIN_SECONDS) -> tuple[int, str]:
    """The exit code of a stack that ends by itself, and its last sentence."""
    assert stack.process is not None
    code = stack.process.wait(within)
    assert stack.left() == []
    return code, stack.output.read_text().rstrip().splitlines()[-1]


def unreachable_address() -> str:
    return f"127.0.0.1:{free_port()}"


def test_database_that_is_away_ends_the_start_with_exit_code_3_and_its_sentence(stack: Up) -> None:
    stack.start(
        DATABASE_URL=f"postgresql://prequal:hunter2@{unreachable_address()}/prequal",
        KAFKA_BOOTSTRAP_SERVERS=unreachable_address(),
    )

    code, sentence = outcome(stack)

    log = stack.folder / ".prequal" / "logs" / "migrate.log"
    assert code == 3
    assert sentence == f"prequal: migrate: PostgreSQL cannot be reached: ConnectionRefusedError (see {log})"


def test_wrong_password_ends_the_start_with_exit_code_2_and_its_sentence(stack: Up, cluster: Cluster) -> None:
    address = cluster.url.rpartition("@")[2]

    stack.start(DATABASE_URL=f"postgresql://prequal:hunter2@{address}", KAFKA_BOOTSTRAP_SERVERS=unreachable_address())

    code, sentence = outcome(stack)
    assert code == 2
    assert "migrate: PostgreSQL refuses DATABASE_URL: InvalidPasswordError" in sentence
    assert "hunter2" not in stack.output.read_text()


def test_broker_that_is_away_ends_the_start_with_exit_code_3_and_its_sentence(stack: Up, database: Database) -> None:
    broker = unreachable_address()

    stack.start(DATABASE_URL=database.url, KAFKA_BOOTSTRAP_SERVERS=broker)

    code, sentence = outcome(stack)
    assert code == 3
    assert f"topics: Kafka at {broker} does not answer" in sentence


class Store:
    """A step against a store that answers after so many tries."""

    def __init__(self, silent: int) -> None:
        self.silent, self.tries = silent, 0

    def step(self) -> str:
        self.tries += 1
        if self.tries <= self.silent:
            raise Transient("PostgreSQL cannot be reached")
        return "done"


def test_step_whose_store_does_not_answer_at_once_is_done_again(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(silent=2)

    assert done_in_the_end(store.step, threading.Event(), StackConsole()) == "done"
    assert store.tries == 3
    assert capsys.readouterr().out.count("PostgreSQL cannot be reached: trying again") == 2


def test_step_whose_store_never_answers_fails_at_the_third_try_and_at_once_when_the_stack_stops() -> None:
    away, stopping, stopped = Store(silent=9), threading.Event(), Store(silent=9)
    stopping.set()

    with pytest.raises(Transient):
        done_in_the_end(away.step, threading.Event(), StackConsole())
    with pytest.raises(Transient):
        done_in_the_end(stopped.step, stopping, StackConsole())
    assert (away.tries, stopped.tries) == (3, 1)


def test_store_that_is_away_at_the_daily_maintenance_does_not_end_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "MAINTAIN_EVERY", timedelta(0))
    stack = supervisor.LocalStack(load(UpSettings), {}, DataFolder(tmp_path), StackConsole(), SimpleQueue())
    tries: list[int] = []

    def job(_: str) -> None:
        tries.append(len(tries))
        if len(tries) == 3:
            stack._stopping.set()
            return
        raise Transient("PostgreSQL cannot be reached")

    monkeypatch.setattr(stack, "_run_job", job)

    stack._maintain_daily()

    assert tries == [0, 1, 2]
