"""What `prequal up` can be told, from the environment or `.env`: nothing of it has to be.

Invariant: every port has a setting that moves it, so that two copies run side by side.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from prequal.core.settings import ENV_FILE, Brokers, DatabaseUrl, KeyText, Port, must_differ


class UpSettings(BaseSettings):
    """The settings of everything on one machine. All ports are on 127.0.0.1."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: DatabaseUrl | None = Field(
        None, repr=False, description="A PostgreSQL of yours. Default: none, then one is started. When set it wins."
    )
    kafka_bootstrap_servers: Brokers | None = Field(
        None, description="Kafka brokers of yours. Default: none, then one is started. When set they win."
    )
    prequal_data_dir: Path = Field(
        Path(".prequal"), description="Folder of data, logs and development keys. Default .prequal; one for each copy."
    )
    postgres_port: Port = Field(55432, description="Port of PostgreSQL. Default 55432: 5432 is often taken.")
    kafka_port: Port = Field(59092, description="Port of Kafka. Default 59092: 9092 is often taken.")
    kafka_controller_port: Port = Field(59093, description="Port of Kafka's own controller. Default 59093.")
    api_port: Port = Field(8000, description="Port of prequal-api. Default 8000.")
    credit_port: Port = Field(8001, description="Port of credit-service's probes and metrics. Default 8001.")
    decision_port: Port = Field(8002, description="Port of decision-service's probes and metrics. Default 8002.")
    publisher_port: Port = Field(8003, description="Port of the publisher's probes and metrics. Default 8003.")
    watched_folder: Path | None = Field(
        None,
        description="A folder on the volume whose free space the metrics show. Default: the data folder.",
    )
    encryption_key: KeyText | None = Field(
        None, description="Seals PANs, base64 of 32 bytes. Default: a development key, made once in the data folder."
    )
    pan_hash_key: KeyText | None = Field(
        None, description="Hashes PANs, base64 of 32 bytes. Default: a development key, made once in the data folder."
    )

    @model_validator(mode="after")
    def _keys_are_two(self) -> Self:
        if self.encryption_key is not None and self.pan_hash_key is not None:
            must_differ(self.encryption_key, self.pan_hash_key)
        return self

    def keys(self) -> dict[str, str]:
        """The keys that were given, by the names of their settings."""
        given = {"ENCRYPTION_KEY": self.encryption_key, "PAN_HASH_KEY": self.pan_hash_key}
        return {name: key.get_secret_value() for name, key in given.items() if key is not None}

    @property
    def of_own_broker(self) -> dict[str, str]:
        """Settings of clients that a broker of ours decides, whatever is set for others: it is spoken to plainly."""
        return {} if self.kafka_bootstrap_servers else {"kafka_security_protocol": "PLAINTEXT"}

    def ports(self) -> dict[str, tuple[int, str]]:
        """The ports that will be listened on, by the setting that moves each, with who needs it."""
        stores = {}
        if self.database_url is None:
            stores["POSTGRES_PORT"] = (self.postgres_port, "PostgreSQL")
        if self.kafka_bootstrap_servers is None:
            stores["KAFKA_PORT"] = (self.kafka_port, "Kafka")
            stores["KAFKA_CONTROLLER_PORT"] = (self.kafka_controller_port, "Kafka's controller")
        return stores | {
            "API_PORT": (self.api_port, "the API"),
            "CREDIT_PORT": (self.credit_port, "the credit service"),
            "DECISION_PORT": (self.decision_port, "the decision service"),
            "PUBLISHER_PORT": (self.publisher_port, "the publisher"),
        }
