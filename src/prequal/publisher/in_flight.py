"""The rows of one topic that the producer holds, and those that must be published alone.

Invariant: a row in flight is not published again until its report is there, or the producer that held it is dead.
"""

from collections.abc import Collection, Iterable, Sequence

from prequal.messaging.delivery import Deliveries, DeliveryReport
from prequal.messaging.outbox import OutboxRow


class InFlight:
    """Which rows are in flight, and which are to be isolated: refused in a batch, and perhaps not at fault."""

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._ids: set[int] = set()
        self._to_isolate: set[int] = set()
        self._isolated_turn = False

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> list[int]:
        """The rows that must not be read again."""
        return list(self._ids)

    @property
    def to_isolate(self) -> Collection[int]:
        """The rows that are published with nothing beside them."""
        return self._to_isolate

    def add(self, row: OutboxRow) -> None:
        """The producer is given `row`."""
        self._ids.add(row.id)

    def discard(self, row: OutboxRow) -> None:
        """The producer has not accepted `row`."""
        self._ids.discard(row.id)

    def resolve(self, reports: Iterable[DeliveryReport], deliveries: Deliveries) -> None:
        """The rows of `reports` are archived or parked; the others may be read again."""
        self._ids.difference_update(report.id for report in reports)
        self._to_isolate.difference_update(deliveries.done)
        self._to_isolate.update(deliveries.to_isolate)

    def follow(self, generation: int, reports: Iterable[DeliveryReport]) -> None:
        """Forget what a producer before `generation` held, for it will not report any more.

        Rows whose `reports` have come, and are not yet written to the database, stay in flight.
        """
        if self._generation != generation:
            self._generation = generation
            self._ids = {report.id for report in reports}

    def select(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """What of `rows` may be published together: all but those to isolate, or one such with nothing beside it.

        One to isolate is alone only when no other message is on its way: the client puts whatever waits into one
        batch, and a batch is refused as a whole. Every other turn is left to the other rows, so that a row which is
        refused again and again does not hold up its topic.
        """
        alone = [row for row in rows if row.id in self._to_isolate]
        self._isolated_turn = bool(alone) and (not self._isolated_turn or len(alone) == len(rows))
        if self._isolated_turn:
            return alone[:1] if not self._ids else []
        return [row for row in rows if row.id not in self._to_isolate]
