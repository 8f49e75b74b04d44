"""Debian's PostgreSQL 15, the oldest that is supported, and one that was built with OpenSSL."""

import secrets
from pathlib import Path
from typing import Final

from harness.ports import free_port
from prequal.local import postgres
from prequal.local.postgres import SETTINGS, Postgres
from tests.support.certificates import Certificate

BINARIES: Final = Path("/usr/lib/postgresql/15/bin")
PASSWORD: Final = "superuser.password"


class DebianPostgres(Postgres):
    """A server that takes no connection without TLS."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        super().__init__(folder, free_port())
        self._certificate = certificate

    def launch(self) -> None:
        """Create the data folder, and serve it."""
        password = self.folder.with_name("password")
        password.write_text(secrets.token_urlsafe(24))
        words = ["--username=prequal", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        self.run([BINARIES / "initdb", "-D", self.folder, f"--pwfile={password}", *words], unprivileged=True)
        password.rename(self.folder / PASSWORD)
        create: list[str | Path] = [BINARIES / "postgres", "--single", "-D", self.folder, "postgres"]
        self.run(create, stdin=f"CREATE DATABASE {postgres.DATABASE}\n", unprivileged=True)
        files = f"ssl_cert_file = '{self._certificate.certificate}'\nssl_key_file = '{self._certificate.key}'\n"
        settings = SETTINGS.format(port=self.port) + "ssl = on\n" + files
        (self.folder / "postgresql.conf").write_text(settings)
        (self.folder / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self._serve()

    def _serve(self) -> None:
        self.spawn([BINARIES / "postgres", "-D", self.folder], folder=self.folder, unprivileged=True)
