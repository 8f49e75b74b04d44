"""The jars of Apache Kafka: exactly those of `kafka.lock`, fetched into the virtual environment.

Invariant: a jar has its final name only after its SHA-256 was compared with the lock's.
"""

import hashlib
import os
import ssl
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from prequal.core.errors import Misconfigured

KAFKA_VERSION: Final = "4.4.0"
LOCK: Final = Path(__file__).with_name("kafka.lock")
FOLDER: Final = Path(sys.prefix, "share", "prequal", f"kafka-{KAFKA_VERSION}")

TRIES: Final = 4
CONNECTIONS: Final = 4
TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, order=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's name in the folder."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def repository_path(self) -> str:
        """The jar's path in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version} {self.sha256}"


def class_path() -> str:
    """Java's class path of all locked jars."""
    return ":".join(str(FOLDER / jar.file_name) for jar in locked())


def missing(folder: Path = FOLDER) -> list[Jar]:
    """The locked jars that are not in the folder."""
    return [jar for jar in locked() if not (folder / jar.file_name).exists()]


def locked(lock: Path = LOCK) -> list[Jar]:
    """The jars of the lock, in its order."""
    return [_parsed(line) for line in lock.read_text().splitlines() if line and not line.startswith("#")]


def _parsed(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def fetch(jars: Iterable[Jar], folder: Path = FOLDER, repository: str | None = None) -> None:
    """Download jars into the folder, each only if its SHA-256 is right.

    Args:
        jars: what to download.
        folder: where to.
        repository: the URL of a Maven repository; by default jgo's.

    Raises:
        Misconfigured: one cannot be fetched, or is not what the lock says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    client = httpx.Client(
        base_url=repository or _default_repository(), verify=_tls(), timeout=TIMEOUT_SECONDS, follow_redirects=True
    )
    with client, ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(lambda jar: _fetch_one(client, jar, folder), jars))


def _fetch_one(client: httpx.Client, jar: Jar, folder: Path) -> None:
    for tries in range(1, TRIES + 1):
        try:
            _download(client, jar, folder)
        except (httpx.HTTPError, ValueError) as failure:
            if tries == TRIES:
                raise Misconfigured(
                    f"{jar.file_name} of Apache Kafka could not be fetched ({type(failure).__name__}): "
                    f"check the network and start again, or name a broker with KAFKA_BOOTSTRAP_SERVERS"
                ) from failure
            time.sleep(tries)
        else:
            return


def _download(client: httpx.Client, jar: Jar, folder: Path) -> None:
    answer = client.get(jar.repository_path).raise_for_status()
    if hashlib.sha256(answer.content).hexdigest() != jar.sha256:
        raise ValueError(f"{jar.file_name} is not what the lock says")
    draft = folder / f".{jar.file_name}.{os.getpid()}"
    draft.write_bytes(answer.content)
    draft.replace(folder / jar.file_name)


def _default_repository() -> str:
    from jgo.maven import MavenContext

    (url,) = MavenContext().remote_repos.values()
    return str(url)


def _tls() -> ssl.SSLContext | bool:
    """A bundle of certificates that is set for other clients is used too; httpx itself reads SSL_CERT_FILE."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return ssl.create_default_context(cafile=bundle) if bundle else True


def main() -> None:
    """Fetch what is missing."""
    try:
        fetch(missing())
    except Misconfigured as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
