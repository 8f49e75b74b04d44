"""The jars of Apache Kafka: exactly those that `kafka.lock` names, inside the virtual environment.

Invariant: a jar lies under its final name only after its SHA-256 was found to be the locked one.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.4.0"
ROOTS: Final = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
"""What the lock is resolved from: the broker, and what lets it speak (without a binding it logs nothing)."""

LOCK: Final = Path(__file__).with_name("kafka.lock")
FOLDER: Final = Path(sys.prefix, "share", "prequal", f"kafka-{KAFKA_VERSION}")


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

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version} {self.sha256}"


def class_path(folder: Path = FOLDER) -> str:
    """All locked jars, as Java wants them."""
    return ":".join(str(folder / jar.file_name) for jar in locked())


def missing(folder: Path = FOLDER) -> list[Jar]:
    """The locked jars that are still to be fetched."""
    return [jar for jar in locked() if not (folder / jar.file_name).exists()]


def locked(lock: Path = LOCK) -> list[Jar]:
    """What the lock names, in its order."""
    return [_parsed(line) for line in lock.read_text().splitlines() if line and not line.startswith("#")]


def _parsed(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)
