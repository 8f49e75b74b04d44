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

    def __len__(self) -> int:
        """How many messages are consumed and not yet behind a stored offset."""
        return sum(map(len, self._acknowledged.values()))

    def __contains__(self, place: MessagePlace) -> bool:
        """Whether a message is consumed, and its partition still ours."""
        return place[1] in self._acknowledged.get(place[0], ())

    def track(self, partition: Partition, offset: int) -> None:
        """Enter a message as consumed; offsets of a partition come in rising order."""
        self._acknowledged.setdefault(partition, {})[offset] = False

    def acknowledge(self, partition: Partition, offset: int) -> None:
        """Mark a message as acknowledged; one whose partition was revoked meanwhile is ignored."""
        if (partition, offset) in self:
            self._acknowledged[partition][offset] = True

    def advance(self) -> list[MessagePlace]:
        """For each partition that moved since the last call: one past its last message with all before acknowledged."""
        ends = [(partition, self._advance_over(offsets)) for partition, offsets in self._acknowledged.items()]
        return [(partition, end) for partition, end in ends if end is not None]

    def drop(self, partition: Partition) -> None:
        """Track nothing of a partition any more: it was revoked, and is read on from its stored offset elsewhere."""
        self._acknowledged.pop(partition, None)

    @staticmethod
    def _advance_over(offsets: dict[int, bool]) -> int | None:
        end = None
        for offset, acknowledged in list(offsets.items()):
            if not acknowledged:
                break
            end = offset + 1
            del offsets[offset]
        return end
