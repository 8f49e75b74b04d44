"""Which consumed messages of each partition are acknowledged, and so how far its offset may move.

Invariant: an offset to store is never past an unacknowledged message.
"""

from typing import TypeAlias

Partition: TypeAlias = tuple[str, int]
"""Topic and partition number."""

MessagePlace: TypeAlias = tuple[Partition, int]
"""Partition and offset: where a message lies."""


class OffsetTracker:
    """The consumed offsets of each partition, in order, each acknowledged or not."""

    def __init__(self) -> None:
        self._acknowledged: dict[Partition, dict[int, bool]] = {}
        self._next: dict[Partition, int] = {}
        self._unacknowledged: dict[Partition, int] = {}

    def __len__(self) -> int:
        """How many messages are consumed and not yet behind a stored offset."""
        return sum(map(len, self._acknowledged.values()))

    @property
    def unacknowledged(self) -> int:
        """How many messages are consumed and not acknowledged."""
        return sum(self._unacknowledged.values())

    @property
    def held_back(self) -> int:
        """How many messages are acknowledged, and wait for one before them."""
        return len(self) - self.unacknowledged

    def __contains__(self, place: MessagePlace) -> bool:
        """Whether a message is consumed, and its partition still ours."""
        return place[1] in self._acknowledged.get(place[0], ())

    def track(self, partition: Partition, offset: int) -> None:
        """Enter a message as consumed; offsets of a partition come in rising order."""
        self._acknowledged.setdefault(partition, {})[offset] = False
        self._next[partition] = offset + 1
        self._unacknowledged[partition] = self._unacknowledged.get(partition, 0) + 1

    def next(self, partition: Partition) -> int:
        """One past the last consumed message; 0 before the first."""
        return self._next.get(partition, 0)

    def reach(self, partition: Partition, end: int) -> None:
        """Enter that nothing is left to consume before `end`, though the last message may lie further back.

        Behind it are transaction markers then, or messages of an aborted transaction. The offset moves past them when
        every message is acknowledged: else the group would lag behind for ever.
        """
        if end > self.next(partition):
            self.track(partition, end - 1)
            self.acknowledge(partition, end - 1)

    def acknowledge(self, partition: Partition, offset: int) -> None:
        """Mark a message as acknowledged; one whose partition was revoked meanwhile is ignored."""
        if self._acknowledged.get(partition, {}).get(offset) is False:
            self._acknowledged[partition][offset] = True
            self._unacknowledged[partition] -= 1

    def advance(self) -> list[MessagePlace]:
        """For each partition that moved since the last call: one past its last message with all before acknowledged."""
        ends = [(partition, self._advance_over(offsets)) for partition, offsets in self._acknowledged.items()]
        return [(partition, end) for partition, end in ends if end is not None]

    def drop(self, partition: Partition) -> None:
        """Track nothing of a partition any more: it was revoked, and is read on from its stored offset elsewhere."""
        self._acknowledged.pop(partition, None)
        self._next.pop(partition, None)
        self._unacknowledged.pop(partition, None)

    @staticmethod
    def _advance_over(offsets: dict[int, bool]) -> int | None:
        end = None
        for offset, acknowledged in list(offsets.items()):
            if not acknowledged:
                break
            end = offset + 1
            del offsets[offset]
        return end
