"""Where a rollback goes, by the versions that were in force in turn; a history begins with the one in force."""

from collections.abc import Sequence


def version_before(history: Sequence[str]) -> str | None:
    """What was in force before the first version of a history first was.

    Two rollbacks in a row go back two versions: a version that was rolled back is not returned to.
    """
    first = len(history) - 1 - history[::-1].index(history[0])
    return history[first + 1] if first + 1 < len(history) else None


def way_back(history: Sequence[str]) -> list[str]:
    """The versions that rollbacks in a row go back to."""
    behind: list[str] = []
    while (before := version_before(history)) is not None:
        history = history[len(history) - history[::-1].index(history[0]) :]
        behind.append(before)
    return behind
