"""The settings of `prequal bureau`, the simulated bureau.

Invariant: it needs no store and no key.
"""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from prequal.core.settings import DatabaseSettings, Port
from prequal.core.topology import BUREAU_PORT


class SimulatorSettings(BaseSettings):
    """Where the simulated bureau listens."""

    model_config = DatabaseSettings.model_config

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    http_host: str = Field("127.0.0.1", description="Address to listen on.")
    http_port: Port = Field(BUREAU_PORT, description="Port of the simulated bureau.")
