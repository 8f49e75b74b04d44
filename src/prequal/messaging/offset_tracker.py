"""DeadLetterSelection of the messages taken from each partition are settled, and so how far its offset may move.

Invariant: an offset to store is never past an unsettled message.
"""

from typing import TypeAlias

Partition: TypeAlias = tuple[str, int]
"""Topic and partition number."""


class OffsetTracker:
    """Offsets taken, each settled or not, a page a partition."""

    def __init__(self) -> None:
        self._pages: dict[Partition, dict[int, bool]] = {}

    def __len__(self) -> int:
        """How many messages are taken and not yet behind a stored offset."""
        return sum(map(len, self._pages.values()))

    def __contains__(self, place: tuple[Partition, int]) -> bool:
        """Whether a message, by partition and offset, is still ours to settle."""
        return place[1] in self._pages.get(place[0], ())

    def take(self, partition: Partition, offset: int) -> None:
        """Enter a message as taken; offsets of a partition come in rising order."""
        self._pages.setdefault(partition, {})[offset] = False

    def settle(self, partition: Partition, offset: int) -> None:
        """Mark a message as settled; one whose partition was taken away meanwhile is ignored."""
        if (partition, offset) in self:
            self._pages[partition][offset] = True

    def advance(self) -> list[tuple[Partition, int]]:
        """For each partition that moved since last asked: one past its last message with all before it settled."""
        ends = [(partition, self._advance_over(page)) for partition, page in self._pages.items()]
        return [(partition, end) for partition, end in ends if end is not None]

    def forget(self, partition: Partition) -> None:
        """Strike out all of a partition: it was revoked, and whoever has it now reads on from the stored offset."""
        self._pages.pop(partition, None)

    @staticmethod
    def _advance_over(page: dict[int, bool]) -> int | None:
        end = None
        for offset, settled in list(page.items()):
            if not settled:
                break
            end = offset + 1
            del page[offset]
        return end
