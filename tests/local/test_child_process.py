"""Children end with their parent, stop on request, and have the pid that is reported."""

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.waiting import eventually
from prequal.core.errors import Misconfigured, PrequalError, Transient
from prequal.local import services
from prequal.local.child_process import Child, bound_to_parent
from prequal.local.services import OneShotJob
from tests.local.machine import is_alive

PARENT = """
import sys, time, pathlib
from prequal.local.child_process import Child
child = Child("sleeper", 0, pathlib.Path(sys.argv[1]))
child.spawn(["sleep", "600"], unprivileged=sys.argv[2] == "unprivileged")
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child("sleeper", 0, tmp_path / "logs" / "sleeper.log")
    yield child
    child.kill()


@pytest.mark.parametrize("how", ["as we are", "unprivileged"])
def test_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path, how: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "log", how], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)

    parent.kill()
    parent.communicate()

    eventually(lambda: not is_alive(pid), within=20)


def test_child_outlives_the_thread_that_started_it(child: Child) -> None:
    starter = threading.Thread(target=lambda: child.spawn(["sleep", "600"]))
    starter.start()
    starter.join()

    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["tail", f"--pid={child.pid}", "-f", "/dev/null"], timeout=0.5, check=False)

    assert child.running


def test_command_does_not_begin_when_its_parent_is_already_gone() -> None:
    command = shlex.join(bound_to_parent(["echo", "began"], signal.SIGKILL))

    done = subprocess.run(["sh", "-c", f"{command}; true"], capture_output=True, text=True, check=True)

    assert done.stdout == ""


def test_child_is_in_a_group_of_its_own_so_that_ctrl_c_does_not_reach_it(child: Child) -> None:
    child.spawn(["sleep", "600"])

    group = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[2]

    assert int(group) == child.pid


def test_stop_kills_a_child_that_ignores_sigterm(child: Child) -> None:
    child.spawn(["sh", "-c", "trap '' TERM; echo ignoring; while :; do sleep 0.1; done"])
    eventually(lambda: "ignoring" in child.log.read_text())

    child.stop(timeout_seconds=0.3)

    assert child.wait() == -signal.SIGKILL


def test_stop_reaches_a_frozen_child(child: Child) -> None:
    child.spawn(["sleep", "600"])
    child.send(signal.SIGSTOP)

    child.stop(timeout_seconds=5)

    assert child.wait() == -signal.SIGTERM


def test_child_that_is_stopped_for_good_never_starts_again(child: Child) -> None:
    child.spawn(["sleep", "600"])

    child.stop_for_good()

    assert not child.running
    with pytest.raises(Transient):
        child.spawn(["sleep", "600"])


def test_stop_for_good_interrupts_a_step_of_the_preparation(child: Child) -> None:
    failures: list[BaseException] = []

    def prepare() -> None:
        try:
            child.run(["sleep", "600"])
        except Misconfigured as failure:
            failures.append(failure)

    preparing = threading.Thread(target=prepare)
    preparing.start()
    eventually(lambda: child._process)

    child.stop_for_good()

    preparing.join(5)
    assert not preparing.is_alive()
    assert failures


def test_failed_step_reports_its_last_sentence(child: Child) -> None:
    with pytest.raises(Misconfigured, match="sleeper: no more room"):
        child.run(["sh", "-c", "echo no more room >&2; exit 1"])


@pytest.mark.parametrize(("code", "kind"), [(1, Misconfigured), (2, Misconfigured), (3, Transient)])
def test_exit_code_of_a_job_gives_the_kind_of_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[PrequalError]
) -> None:
    monkeypatch.setattr(services, "command_of", lambda _: ["sh", "-c", f"echo its sentence; exit {code}"])

    with pytest.raises(kind, match="topics: its sentence"):
        OneShotJob("topics", tmp_path / "topics.log", {}).execute()


def test_last_sentence_is_no_json_record(child: Child) -> None:
    child.log.parent.mkdir()
    child.log.write_text('{"event": "starting"}\nprequal: Bad settings: X is missing.\n{"event": "bye"}\n\n')

    assert child.last_sentence() == "Bad settings: X is missing"


TRACE = """\
[main] ERROR kafka.Kafka$ - Exiting Kafka due to fatal exception
java.lang.RuntimeException: Stored node id 9 does not match
\tat org.apache.kafka.server.ServerUtils.check(ServerUtils.java:12) ~[kafka.jar:?]
\tat kafka.Kafka.main(Kafka.scala)
\t... 3 more
"""


def test_last_sentence_is_the_exception_and_no_frame_of_its_stack(child: Child) -> None:
    child.log.parent.mkdir()
    child.log.write_text(TRACE)

    assert child.last_sentence() == "java.lang.RuntimeException: Stored node id 9 does not match"


def test_last_line_is_a_record_where_there_is_no_sentence(child: Child) -> None:
    child.log.parent.mkdir()
    child.log.write_text('{"event": "starting"}\n{"event": "crashed"}\n')

    assert child.last_line() == '{"event": "crashed"}'
    assert Child("never started", 0, child.log.with_name("none.log")).last_line() == ""


def test_on_spawn_knows_the_new_pid(child: Child) -> None:
    seen: list[int] = []
    child.on_spawn = lambda: seen.append(child.pid)

    child.spawn(["true"])
    child.wait()
    child.spawn(["true"])

    assert len(set(seen)) == 2
    assert seen[1] == child.pid
