"""Fetches the locked jars, and resolves the lock anew, through jgo: no Maven, no POMs when the lock is there.

Invariant: nothing is written outside the folder the jars are for, HOME included.
"""

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests
from jgo.maven import Artifact, MavenContext, PythonResolver

from prequal.core.errors import Misconfigured
from prequal.local import jars
from prequal.local.jars import FOLDER, LOCK, ROOTS, Jar

TRIES: Final = 4
FETCHERS: Final = 4


def fetch(wanted: Iterable[Jar], folder: Path = FOLDER) -> None:
    """Put the jars into the folder, each only when its SHA-256 is right.

    Raises:
        Misconfigured: one cannot be fetched, or is not what the lock says.
    """
    with _maven(folder) as maven, ThreadPoolExecutor(FETCHERS) as fetchers:
        for _ in fetchers.map(lambda jar: _fetch_one(maven, jar, folder), wanted):
            pass


def _fetch_one(maven: MavenContext, jar: Jar, folder: Path) -> None:
    for tries in range(1, TRIES + 1):
        try:
            draft = _download(maven, jar)
        except Exception as failure:  # whatever the network brings: only the last try tells
            if tries == TRIES:
                raise Misconfigured(
                    f"{jar.file_name} of Apache Kafka could not be fetched ({type(failure).__name__}): "
                    f"check the network and start again, or name a broker with KAFKA_BOOTSTRAP_SERVERS"
                ) from failure
            time.sleep(tries)
        else:
            draft.replace(folder / jar.file_name)
            return


def _download(maven: MavenContext, jar: Jar) -> Path:
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    path = artifact.resolve()
    if sha256_of(path) != jar.sha256:
        path.unlink()
        raise ValueError(f"{jar.file_name} is not what the lock says")
    return path


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _maven(folder: Path) -> Iterator[MavenContext]:
    """A context whose cache lies in, and vanishes from, the folder itself: nothing is written to HOME."""
    folder.mkdir(parents=True, exist_ok=True)
    cache = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder))
    try:
        yield MavenContext(resolver=_KeptConnection(), repo_cache=cache)
    finally:
        shutil.rmtree(cache, ignore_errors=True)


class _KeptConnection(PythonResolver):
    """Downloads over kept connections, and without the second request for a SHA-1: the lock knows better."""

    def __init__(self) -> None:
        super().__init__()
        self._session = requests.Session()

    def download(self, artifact: Artifact) -> Path:
        path = artifact.cached_path
        assert path is not None, "the context has a cache"
        (remote,) = artifact.context.remote_repos.values()
        place = artifact.component.path_prefix.as_posix()
        answer = self._session.get(f"{remote}/{place}/{artifact.filename}", timeout=artifact.context.timeout)
        answer.raise_for_status()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer.content)
        return path


def resolve(roots: Iterable[str] = ROOTS) -> list[Jar]:
    """Resolve the roots anew, through their POMs; the answer is what the lock should hold."""
    with tempfile.TemporaryDirectory() as folder, _maven(Path(folder)) as maven:
        named, transitive = maven.resolver.resolve([maven.create_dependency(root) for root in roots])
        return sorted({_jar(dependency.artifact) for dependency in [*named, *transitive]})


def _jar(artifact: Artifact) -> Jar:
    return Jar(artifact.groupId, artifact.artifactId, artifact.version, sha256_of(artifact.resolve()))


def write_lock(lock: Path = LOCK) -> None:
    """Write the lock anew, after `jars.KAFKA_VERSION` was changed."""
    heading = "# Apache Kafka's jars, one a line with its SHA-256. Written by `python -m prequal.local.maven lock`."
    lock.write_text("\n".join([heading, *map(str, resolve())]) + "\n")


def main(words: list[str]) -> None:
    """`fetch` what is missing, or write the `lock`."""
    if words == ["lock"]:
        write_lock()
    elif words == ["fetch"]:
        try:
            fetch(jars.missing())
        except Misconfigured as problem:
            sys.exit(str(problem))
    else:
        sys.exit("Usage: python -m prequal.local.maven fetch|lock")


if __name__ == "__main__":
    main(sys.argv[1:])
