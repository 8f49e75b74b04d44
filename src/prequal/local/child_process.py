"""Child processes: each in a group of its own, with one log, ended with this process however this process ends.

Invariant: `Child.pid` is the worker itself, because every wrapper before it replaces itself by `exec`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from prequal.core.errors import Misconfigured, PrequalError, Transient

STOP_SECONDS = 5.0
"""How long a child may take to stop when asked, before it is killed."""

LOG_LIMIT_BYTES = 64 * 1024 * 1024
"""A log larger than this is renamed to `<name>.1.log` when its child next starts."""

# A parent-death signal follows the death of the *thread* that forked: this one lives as long as the process.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")

# The parent may have died before `setpriv` took effect: no signal would ever come.
_IF_PARENT_LIVES = '[ "$PPID" = "$0" ] && exec "$@"'

_NOT_A_SENTENCE = re.compile(r"\{|at \S+\(|\.\.\. \d+ more")
"""A JSON record; a frame of Java's stack, or the count of further frames."""


class Child:
    """A process that is started, and started again after its end, under one name.

    Where the system knows parent-death signals (Linux) the child does not outlive this process, however it
    ends. Elsewhere (macOS) it may outlive a `kill -9`; the next `prequal up` then ends it.

    Attributes:
        name: the child's name in messages, in `run.json` and in its log's name.
        port: its port on 127.0.0.1.
        log: the file that its output and error output are appended to.
        on_spawn: called after each start of the worker, when its new `pid` is known.
        on_delay: called with a sentence when it is known why the worker takes long to be ready.
    """

    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL

    def __init__(self, name: str, port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self.log = log
        self.on_spawn: Callable[[], None] = lambda: None
        self.on_delay: Callable[[str], None] = lambda _: None
        self._process: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._is_stopped_for_good = False
        self._spawn_lock = threading.Lock()

    def launch(self) -> None:
        """Prepare what the worker needs, start it, and return without waiting until it is ready."""
        raise NotImplementedError

    def wait_until_ready(self) -> None:
        """Block until the worker is ready.

        Raises:
            Transient: it ended, or was not ready in time.
        """

    def start(self) -> None:
        """Start the worker and return when it is ready; end one that is not.

        Raises what `launch` and `wait_until_ready` do.
        """
        self.launch()
        try:
            self.wait_until_ready()
        except Transient:
            self.kill()
            raise

    @property
    def was_started(self) -> bool:
        """Whether the worker was ever started."""
        return self._worker is not None

    @property
    def pid(self) -> int:
        """The worker's process id, of its latest start."""
        assert self._worker is not None, "a pid comes with the first launch"
        return self._worker.pid

    @property
    def running(self) -> bool:
        """Whether the worker has been started and has not ended."""
        return self._worker is not None and self._worker.poll() is None

    def wait(self) -> int:
        """Block until the worker has ended and return its exit code (-N: ended by signal N)."""
        assert self._worker is not None, "an end comes after the first launch"
        return self._worker.wait()

    def send(self, signal_number: signal.Signals) -> None:
        """Send the worker a signal; does nothing when it has ended."""
        if self._worker is not None:
            self._worker.send_signal(signal_number)

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> None:
        """Ask the process to end, kill it after `timeout_seconds`, and return when it is gone."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        self._process.send_signal(signal.SIGCONT)  # a frozen process handles no other signal
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process and its group as `kill -9` does, and return when it is gone."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop_for_good(self, timeout_seconds: float = STOP_SECONDS) -> None:
        """Stop what runs, the worker or a step of its preparation, and refuse every later start."""
        with self._spawn_lock:
            self._is_stopped_for_good = True
        self.stop(timeout_seconds)

    def last_sentence(self) -> str:
        """The last line of the log that is neither a JSON record nor a frame of a stack."""
        if not self.log.exists():
            return ""
        sentence = next(
            (line for line in reversed(self._last_lines()) if not _NOT_A_SENTENCE.match(line)), "no message"
        )
        return sentence.removeprefix("prequal: ").rstrip(".")

    def last_line(self) -> str:
        """The last sentence of the log, or, where it holds only records, its last line; empty without a log."""
        sentence = self.last_sentence()
        return self._last_lines()[-1] if sentence == "no message" and self._last_lines() else sentence

    def _last_lines(self) -> list[str]:
        """The lines of the log's last 8 KiB that are not empty."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 8192))
            return [line for text in log.read().decode(errors="replace").splitlines() if (line := text.strip())]

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        unprivileged: bool = False,
    ) -> None:
        """Start the worker.

        Args:
            argv: the program and its arguments.
            environment: its whole environment; None passes ours on.
            folder: its working folder; None keeps ours.
            unprivileged: if we are root, run it as another user of a user namespace.

        Raises:
            Misconfigured: a tool that starts it is missing.
            Transient: it was stopped for good.
        """
        self._worker = self._spawned(bound_to_parent(argv, self.death_signal, unprivileged), environment, folder)
        self.on_spawn()

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        unprivileged: bool = False,
    ) -> None:
        """Run a step of the preparation to its end.

        Raises:
            PrequalError: it failed; the message holds its last sentence. `_failure` gives the kind.
        """
        process = self._spawned(bound_to_parent(argv, signal.SIGKILL, unprivileged), environment, stdin=stdin)
        if code := process.wait():
            raise self._failure(code)(f"{self.name}: {self.last_sentence()} (see {self.log})")

    def _failure(self, code: int) -> type[PrequalError]:
        """What kind of failure an exit code of a step of the preparation is."""
        return Misconfigured

    def _spawned(
        self, command: list[str], environment: Mapping[str, str] | None, folder: Path | None = None, stdin: str = ""
    ) -> subprocess.Popen[bytes]:
        with self._spawn_lock:
            if self._is_stopped_for_good:
                raise Transient(f"{self.name} is stopped for good")
            self._process = _forker.submit(_popen, command, environment, folder, stdin, self.log).result()
            return self._process


def stop_all(children: Sequence[Child], timeout_seconds: float) -> None:
    """`stop_for_good` of all children at the same time."""
    with ThreadPoolExecutor(max_workers=len(children) or 1) as threads:
        list(threads.map(lambda child: child.stop_for_good(timeout_seconds), children))


def bound_to_parent(argv: Sequence[str | Path], death_signal: signal.Signals, unprivileged: bool = False) -> list[str]:
    """Wrap a command so that it gets `death_signal` when this process dies; `unprivileged`, not as root.

    The order matters: a change of credentials clears the parent-death signal, so the user namespace comes first.
    """
    command = [str(word) for word in argv]
    user_namespace = _as_ordinary_user() if unprivileged and os.geteuid() == 0 else []
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return [*user_namespace, *command]
    bound = [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG"), "--"]
    return [*user_namespace, *bound, "/bin/sh", "-c", _IF_PARENT_LIVES, str(os.getpid()), *command]


def _as_ordinary_user() -> list[str]:
    """A user namespace in which root is user 1000; outside of it nothing changes, and files stay root's."""
    user_namespace = [shutil.which("unshare") or "unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    try:
        subprocess.run([*user_namespace, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise Misconfigured(
            "PostgreSQL refuses to run as root, and this machine has no user namespaces (`unshare --user`): "
            "start this as an ordinary user, or name a server with DATABASE_URL"
        ) from None
    return user_namespace


def _popen(
    command: list[str], environment: Mapping[str, str] | None, folder: Path | None, stdin: str, log: Path
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".1.log"))
    with log.open("ab") as output, tempfile.TemporaryFile() as content:
        content.write(stdin.encode())
        content.seek(0)
        return subprocess.Popen(
            command, stdin=content, stdout=output, stderr=output, env=environment, cwd=folder, start_new_session=True
        )
