"""The settings of `prequal bureau`, the simulated bureau.

Invariant: it needs no store and no key, and nobody reaches it from another machine.
"""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from prequal.core.settings import DatabaseSettings, Port
from prequal.core.settings.checks import is_loopback
from prequal.core.topology import BUREAU_PORT


class SimulatorSettings(BaseSettings):
    """Where the simulated bureau listens."""

    model_config = DatabaseSettings.model_config

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    http_host: str = Field("127.0.0.1", description="Address to listen on, of this machine alone.")
    http_port: Port = Field(BUREAU_PORT, description="Port of the simulated bureau.")

    @model_validator(mode="after")
    def _open_to_this_machine_alone(self) -> Self:
        if not is_loopback(self.http_host):
            raise ValueError(
                "the simulated bureau is sent PANs in the clear and asks nobody who he is: set HTTP_HOST=127.0.0.1, or "
                "another loopback address"
            )
        return self
