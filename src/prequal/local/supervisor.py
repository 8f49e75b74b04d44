"""`prequal up`: starts everything on this machine, keeps it running, and stops it in the right order.

Invariant: however the stack ends, services stop before stores, and no child is left.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from prequal.core.errors import Misconfigured, PrequalError, Refused, Transient
from prequal.core.topology import COMMANDS
from prequal.local import jars, prometheus
from prequal.local.child_process import Child, stop_all
from prequal.local.console import StackConsole
from prequal.local.data_folder import DataFolder
from prequal.local.demo import demonstrate
from prequal.local.kafka import Kafka
from prequal.local.keys import NAMES, development_keys
from prequal.local.logins import Logins
from prequal.local.ports import require_free
from prequal.local.postgres import Postgres
from prequal.local.restarter import Restarter, done_in_the_end
from prequal.local.run_file import Process, RunFile
from prequal.local.services import OneShotJob, ServiceProcess
from prequal.local.settings import UpSettings

SERVICES_STOP_SECONDS: Final = 7.5
STORES_STOP_SECONDS: Final = 5.0
"""Together under the 15 s that Ctrl-C may take."""

SIGNAL_POLL_SECONDS: Final = 0.25

MAINTAIN_EVERY: Final = timedelta(days=1)

T = TypeVar("T")

End = SimpleQueue[PrequalError | None]
"""Why the stack ends: None for a signal, else the failure. The first entry counts."""

NEXT_STEPS: Final = """
  Try next:
    curl -s {url}/applications {token}-H 'Content-Type: application/json' \\
      -d '{{"pan_number": "ABCDE1234F", "monthly_income_inr": 75000, "loan_amount_inr": 1500000, "loan_type": "HOME"}}'
    .venv/bin/prequal apply --url {url} --type HOME --income 75000 --amount 1500000
    .venv/bin/prequal status
    {pages}/docs   {pages}/metrics
    {console}
{watch}
  {callers}
  Logs: {logs}   Stop: Ctrl-C
"""
FIRST_CLIENT: Final = """
  A client of the API was made. Its token cannot be shown again; keep it:
    export PREQUAL_TOKEN={token}
"""
ANYBODY: Final = "Everybody on this machine may post; `prequal up --authentication keys` asks for a client's token."
CLIENTS_ALONE: Final = (
    "The API asks for a client's token; another client: .venv/bin/prequal clients add \"Lender's app\""
)


def up(settings: UpSettings) -> None:
    """Start everything, serve until SIGINT, SIGTERM or SIGHUP, stop everything.

    Raises:
        Misconfigured: a port, the data folder, a setting or a missing tool prevents the start.
        Transient: something did not start.
    """
    end: End = SimpleQueue()
    for number in _stop_signals():
        signal.signal(number, lambda *_: end.put(None))
    folder = DataFolder(settings.prequal_data_dir)
    with folder.locked():
        require_free(settings.ports())
        LocalStack(settings, _keys(settings, folder), folder, StackConsole(), end).run()


def _wait_for_end(end: End) -> PrequalError | None:
    """Wait for the first entry, polling.

    A signal that another thread receives in the middle of a fork does not wake this one, which alone runs Python's
    handlers.
    """
    while True:
        with suppress(Empty):
            return end.get(timeout=SIGNAL_POLL_SECONDS)


def _stop_signals() -> list[signal.Signals]:
    """SIGHUP too, unless it is ignored already: `nohup prequal up` is to outlive its terminal."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]


def _keys(settings: UpSettings, folder: DataFolder) -> dict[str, str]:
    given = settings.keys()
    in_a_file = {"ENCRYPTION_KEY"} if settings.encryption_key_file else set()
    needed = [name for name in NAMES if name not in given.keys() | in_a_file]
    if not needed:
        return given
    if settings.database_url is None and folder.postgres.exists() and not folder.keys.exists():
        raise Misconfigured(
            f"{folder.keys} is missing, and {folder.postgres} was made with its keys: put it back, "
            f"or set {' and '.join(needed)}, or move {folder.path} away to start afresh"
        )
    return development_keys(folder.keys, needed) | given


class LocalStack:
    """Everything that runs on this machine, from the first start to the last stop."""

    def __init__(
        self, settings: UpSettings, keys: dict[str, str], folder: DataFolder, console: StackConsole, end: End
    ) -> None:
        """Describe the stack; nothing starts before `run`."""
        self._settings = settings
        self._keys = keys
        self._folder = folder
        self._console = console
        self._end = end
        self._api_url = f"http://127.0.0.1:{settings.api_port}"
        self._postgres = self._kafka = None
        if not settings.database_url:
            self._postgres = Postgres(folder.postgres, settings.postgres_port, log=folder.log("postgres"))
        if not settings.kafka_bootstrap_servers:
            ports = settings.kafka_port, settings.kafka_controller_port
            self._kafka = Kafka(folder.kafka, *ports, log=folder.log("kafka"))
        self._logins: Logins | None = None
        self._can_sign_in = False
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stores: list[Child] = []
        self._services: list[Child] = []
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="stack")

    def run(self) -> None:
        """Start, serve until the end, stop.

        Raises:
            PrequalError: the failure that ended the stack, if it was not a signal.
        """
        self._in_background(self._start)
        reason = _wait_for_end(self._end)
        self._stop()
        if reason is not None:
            raise reason

    def _start(self) -> None:
        began = time.monotonic()
        _all_done([self._in_background(self._open_database), self._in_background(self._open_broker)])
        token = self._token_of_first_client() if self._asks_for_keys else None  # before the API reads its clients
        self._start_children(self._services, self._service_children())
        self._can_sign_in = self._postgres is not None and self._make_first_people()
        self._console.done("everything is ready", time.monotonic() - began)
        if self._postgres and (token or not self._asks_for_keys):
            self._demonstrate_once(token)
        self._show_next_steps()
        self._maintain_daily()

    def _open_database(self) -> None:
        """PostgreSQL, ours or the user's, with its tables and the partitions of the coming days."""
        if self._postgres:
            self._start_children(self._stores, [self._postgres])
            self._logins = logins = Logins(self._folder.logins)
            self._in_the_end(lambda: logins.make(self._database_url))
        self._run_job("migrate")  # which also makes the partitions of the days ahead, and grants the roles their own

    def _open_broker(self) -> None:
        """Kafka, ours or the user's, with its topics."""
        if self._kafka:
            if missing := jars.missing():
                self._console.started(f"fetching {len(missing)} jars of Apache Kafka, once")
            self._start_children(self._stores, [self._kafka])
        self._run_job("topics")

    def _children_settings(self) -> dict[str, str]:
        """The settings of all children; each child is given only its own."""
        stores = {"DATABASE_URL": self._database_url, "KAFKA_BOOTSTRAP_SERVERS": self._bootstrap_servers}
        stores["WATCHED_FOLDER"] = str((self._settings.watched_folder or self._folder.path).absolute())
        if self._settings.database_url is None:
            stores["DATABASE_CA_FILE"] = ""  # which is of another server
        if self._settings.encryption_key_file:
            stores["ENCRYPTION_KEY_FILE"] = str(Path(self._settings.encryption_key_file).absolute())
        stores |= dict.fromkeys(("HTTP_CERTIFICATE_FILE", "HTTP_KEY_FILE"), "")  # they listen on this machine alone
        stores["SANDBOX"] = str(self._settings.sandbox)
        stores["API_AUTHENTICATION"] = self._settings.api_authentication
        if self._settings.sandbox and self._settings.api_authentication == "none":
            stores["TRY_IT_API_URL"] = self._api_url
        return self._keys | stores | {name.upper(): value for name, value in self._settings.of_own_broker.items()}

    def _service_children(self) -> list[ServiceProcess]:
        return [
            ServiceProcess(
                name,
                self._settings.port_of(service),
                self._folder.log(name),
                self._children_settings() | {"DATABASE_URL": self._database_url_of(name)},
                self._folder.path,
            )
            for name, service in COMMANDS.items()
        ]

    def _database_url_of(self, command: str) -> str:
        """With the service's own login, where the server is ours; another server's address is used as it was given."""
        return self._logins.database_url(command, self._database_url) if self._logins else self._database_url

    def _start_children(self, group: list[Child], children: Sequence[Child]) -> None:
        """Start the children, each with a restarter, and wait until all are ready."""
        self._register(group, children)
        restarters = [Restarter(child, self._stopping, self._console) for child in children]
        for child, restarter in zip(children, restarters, strict=True):
            child.on_spawn = self._write_run_file
            child.on_delay = self._console.event
            self._in_background(restarter.run)
        _all_done([restarter.first_ready for restarter in restarters])

    def _run_job(self, name: str) -> None:
        began = time.monotonic()
        job = OneShotJob(name, self._folder.log(name), self._children_settings())
        self._register(self._services, [job])
        self._in_the_end(job.execute)
        self._console.done(name, time.monotonic() - began)

    def _in_the_end(self, work: Callable[[], T]) -> T:
        return done_in_the_end(work, self._stopping, self._console)

    def _register(self, group: list[Child], children: Sequence[Child]) -> None:
        """Note the children for `_stop`; once it has begun none is accepted."""
        with self._lock:
            if self._stopping.is_set():
                raise Transient("the stack is stopping")
            group.extend(children)

    @property
    def _asks_for_keys(self) -> bool:
        return self._settings.api_authentication == "keys"

    @property
    def _database_url(self) -> str:
        ours = self._postgres.database_url if self._postgres and self._postgres.was_started else ""
        return self._settings.database_url or ours

    @property
    def _bootstrap_servers(self) -> str:
        return self._settings.kafka_bootstrap_servers or (self._kafka.bootstrap_servers if self._kafka else "")

    def _write_run_file(self) -> None:
        """Write what runs; before PostgreSQL's first start there is nothing to connect to."""
        with self._lock:
            started = [child for child in (*self._stores, *self._services) if child.was_started]
            if self._database_url:
                processes = {child.name: Process(child.pid, child.port) for child in started}
                RunFile(self._database_url, self._bootstrap_servers, processes).write(self._folder.run_file)

    def _token_of_first_client(self) -> str | None:
        """Make a client where there is none, and show its token; None where there is one."""
        from prequal.local.first_client import FirstClient

        key, sandbox = self._keys["PAN_HASH_KEY"], self._settings.sandbox
        token = self._in_the_end(FirstClient(self._database_url, key, sandbox=sandbox).token)
        if token is not None:
            self._console.text(FIRST_CLIENT.format(token=token))
        return token

    def _make_first_people(self) -> bool:
        """Make those who may sign in to the console, where there are none."""
        from prequal.local.first_people import make_first_people

        return self._in_the_end(lambda: make_first_people(self._database_url, self._folder.people))

    def _demonstrate_once(self, token: str | None) -> None:
        from prequal.local.queries import has_applications

        try:
            if has_applications(self._database_url):
                return
            self._console.text("\n  The first three applications, sent by `prequal up` itself:")
            for line in demonstrate(self._api_url, token):
                self._console.text(f"    {line}")
        except (Refused, Transient) as problem:
            if self._stopping.is_set():
                raise
            self._console.event(f"the demonstration failed: {problem}")

    def _show_next_steps(self) -> None:
        command = prometheus.offer(self._settings, self._folder)
        watch = f"    {command}\n" if command else ""
        token, callers = "", ANYBODY
        if self._asks_for_keys:
            token, callers = '-H "Authorization: Bearer $PREQUAL_TOKEN" ', CLIENTS_ALONE
        logs = self._folder.log("*")
        steps = {"logs": logs, "watch": watch, "token": token, "callers": callers, "console": self._console_line()}
        steps["pages"] = f"http://127.0.0.1:{self._settings.pages_port}"
        self._console.text(NEXT_STEPS.format(url=self._api_url, **steps))

    def _console_line(self) -> str:
        """Where the console is, and how one signs in."""
        how = f"names and passwords are in {self._folder.people}" if self._can_sign_in else "see `prequal users`"
        return f"http://127.0.0.1:{self._settings.console_port}   the console; {how}"

    def _maintain_daily(self) -> None:
        while not self._stopping.wait(MAINTAIN_EVERY.total_seconds()):
            try:
                self._run_job("maintain")
            except (Misconfigured, Transient) as problem:
                if self._stopping.is_set():
                    raise
                self._console.event(f"maintenance failed and is tried again tomorrow: {problem}")

    def _stop(self) -> None:
        began = time.monotonic()
        with self._lock:
            self._stopping.set()
        self._console.started("stopping")
        stop_all(self._services, SERVICES_STOP_SECONDS)
        stop_all(self._stores, STORES_STOP_SECONDS)
        self._threads.shutdown()
        self._console.done("everything is stopped", time.monotonic() - began)

    def _in_background(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` in a thread; an error ends the stack, and comes out of the future too."""
        return self._threads.submit(self._guarded, work)

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except PrequalError as problem:
            self._end.put(problem)
            raise
        except Exception as bug:
            self._end.put(Transient(f"`prequal up` failed itself: {type(bug).__name__}: {bug}"))
            raise


def _all_done(futures: Sequence[Future[Any]]) -> None:
    """Wait for all, and raise the first failure as soon as it happens."""
    for future in as_completed(futures):
        future.result()
