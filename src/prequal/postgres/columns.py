"""The columns of a set-based statement, each written once: its name, its SQL type, and where its values come from.

Invariant: `table` and `arrays` are of one table, so a value never lands in another column than the one it is for.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

Column: TypeAlias = tuple[str, str, Callable[[T], object]]
"""A column's name, its SQL type, and its value for one row."""


class Columns(Generic[T]):
    """Rows of `T` as PostgreSQL is given them: one array a column."""

    def __init__(self, *columns: Column[T]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def names(self) -> str:
        """SQL for `SELECT`: every column."""
        return ", ".join(name for name, _, _ in self._columns)

    def table(self, alias: str, first: int) -> str:
        """SQL for `FROM`: the rows, from the parameter `$first` on, as the table `alias`."""
        parameters = ", ".join(f"${n}::{kind}[]" for n, (_, kind, _) in enumerate(self._columns, first))
        return f"unnest({parameters}) AS {alias} ({self.names})"

    def arrays(self, rows: Sequence[T]) -> Iterable[list[object]]:
        """The parameters that `table` names, in order."""
        return [[value(row) for row in rows] for _, _, value in self._columns]
