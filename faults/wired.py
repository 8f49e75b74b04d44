"""A rig whose services reach PostgreSQL and Kafka through wires that can be cut, slowed or closed.

Invariant: the scenario, the checker and the errands reach the database directly, and the broker by its wire.
"""

from pathlib import Path
from typing import Final

from faults.rig import SERVICES, Rig, reserve_ports
from harness.wire import COMMIT, Wire

COMMITS: Final = dict.fromkeys(("credit", "decision"), b'"cibil_score":')
"""What the one statement of a service that writes and commits holds, and no other, where it is no COMMIT."""


class WiredRig(Rig):
    """The system, each service with a wire of its own to the database, and one wire before the broker.

    Attributes:
        to_database: the wires to PostgreSQL, by service.
        to_broker: the wire to Kafka, of all services.
    """

    def __init__(self, folder: Path) -> None:
        ports = reserve_ports()
        self.to_database: Final = {name: Wire(ports["postgres"], COMMITS.get(name, COMMIT)) for name in SERVICES}
        self.to_broker: Final = Wire(ports["kafka"])
        super().__init__(folder, ports=ports, advertised_port=self.to_broker.port)
        for wire in (*self.to_database.values(), self.to_broker):
            self.afterwards.callback(wire.close)

    def _own(self, name: str) -> dict[str, str]:
        wire = self.to_database.get(name)
        return super()._own(name) | ({"DATABASE_URL": wire.url(self.database_url)} if wire else {})
