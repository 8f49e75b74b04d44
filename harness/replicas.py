"""A PostgreSQL server, its standby, and one address in front of them, for tests of a failover.

Invariant: the address leads to one server at a time, and moves only by `follow`.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from harness.tcp_proxy import TcpProxy
from prequal.local.postgres import Postgres, binary


class Replica(Postgres):
    """A server that is made as a streaming copy of another one."""

    def __init__(self, folder: Path, port: int, source: Postgres, *, log: Path | None = None) -> None:
        super().__init__(folder, port, log=log)
        self._source = source

    def _create(self) -> None:
        source = ["-R", "-X", "stream", "-c", "fast", "-d", self._source.database_url]
        self.run([binary("pg_basebackup"), "-D", self.folder, *source], unprivileged=True)


@dataclass
class Pair:
    """A primary and its standby.

    Attributes:
        first: the primary, until `fail_over`.
        second: its standby, and the primary after that.
        proxy: the address; it leads to the first until `follow`.
    """

    first: Postgres
    second: Postgres
    proxy: TcpProxy = field(init=False)

    def __post_init__(self) -> None:
        self.proxy = TcpProxy(self.first.port)

    @property
    def url(self) -> str:
        """The one address."""
        return self.url_of(self.proxy.port)

    @property
    def urls(self) -> str:
        """Both servers in one URL."""
        return self.url_of(self.first.port, self.second.port)

    def url_of(self, *ports: int) -> str:
        """These ports in one URL."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return self.first.database_url.replace(f"127.0.0.1:{self.first.port}", hosts)

    def fail_over(self) -> None:
        """Stop the first, promote the second, and bring the first back as a standby that cannot follow."""
        self.first.stop()
        with psycopg.connect(self.second.database_url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        (self.first.folder / "standby.signal").touch()
        self.first.start()

    def follow(self) -> None:
        """Lead the address to the second; connections that it has to the first stay, as when a name's record moves."""
        self.proxy.lead_to(self.second.port)

    def turn(self) -> None:
        """Make the first a standby of the second, and let them change their names."""
        self.first.stop()
        shutil.rmtree(self.first.folder)
        replica = Replica(self.first.folder, self.first.port, self.second, log=self.first.log)
        replica.start()
        self.first, self.second = self.second, replica
