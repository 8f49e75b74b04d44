"""What the workbench needs to be told: both stores, and no key.

Neighbours: the command line loads it, or fills it in from what `prequal up` runs.
Invariant: nothing here opens a PAN.
"""

from prequal.kernel.settings import DatabaseSettings, KafkaSettings


class WorkbenchSettings(DatabaseSettings, KafkaSettings):
    """What `prequal dlq` needs."""
