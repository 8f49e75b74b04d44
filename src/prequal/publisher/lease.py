"""One topic's lease: the right to publish its rows, kept by renewing it.

Invariant: of several publishers one holds a topic; a silent one loses it when the lease expires.
"""

import asyncio
import uuid

from prequal.postgres.connections import Connection
from prequal.publisher import queries
from prequal.publisher.queries import Lease


class LeaseHolder:
    """Takes a lease, renews it after a third of its time, and releases it.

    Attributes:
        held: the lease; None while another publisher has it.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._owner = uuid.uuid4()
        self._renew_at = 0.0
        self.held: Lease | None = None

    @property
    def renew_in(self) -> float:
        """The seconds after which the lease is to be renewed; 0 while another publisher has it."""
        return max(0.0, self._renew_at - asyncio.get_running_loop().time()) if self.held else 0.0

    async def keep(self, connection: Connection) -> bool:
        """Take or renew the lease when it is time to; whether it was taken or renewed just now."""
        now = asyncio.get_running_loop().time()
        if self.held is not None and now < self._renew_at:
            return False
        self.held = await queries.take_lease(connection, self._name, self._owner, self._seconds)
        self._renew_at = now + self._seconds / 3
        return self.held is not None

    async def release(self, connection: Connection) -> None:
        """Let another publisher take the lease at once."""
        if self.held is not None:
            await queries.release_lease(connection, self.held)
