"""Resolves the jars of Apache Kafka and writes their lock: `python -m tools.kafka_lock`, after a change of `ROOTS`.

Invariant: nothing is written but the lock; what is downloaded lies in a folder that is deleted.
"""

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jgo.maven import Artifact, MavenContext, PythonResolver

from prequal.local.jars import KAFKA_VERSION, LOCK, Jar

ROOTS: Final = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
"""What the lock is resolved from: the broker, and a logging binding (without one it logs nothing)."""
HEADING = "# Apache Kafka's jars, one a line with its SHA-256. Written by `python -m tools.kafka_lock`."


def resolve(roots: Iterable[str] = ROOTS) -> list[Jar]:
    """The roots and everything that they depend on, by their POMs."""
    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(resolver=PythonResolver(), repo_cache=Path(folder))
        named, transitive = maven.resolver.resolve([maven.create_dependency(root) for root in roots])
        return sorted({_jar(dependency.artifact) for dependency in [*named, *transitive]})


def _jar(artifact: Artifact) -> Jar:
    content = artifact.resolve().read_bytes()
    return Jar(artifact.groupId, artifact.artifactId, artifact.version, hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    LOCK.write_text("\n".join([HEADING, *map(str, resolve())]) + "\n")
