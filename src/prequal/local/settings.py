"""The settings of `prequal up`, from the environment or `.env`: none is required.

Invariant: every port has a setting that moves it, so that two copies run side by side.
"""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from prequal.core.keys import KeyText, must_differ
from prequal.core.settings import Brokers, DatabaseSettings, DatabaseUrl, FileName, Port
from prequal.core.settings.kafka import PLAINTEXT
from prequal.core.topology import ADMIN_PORT, COMMANDS, PORTS, Service

PORT_SETTINGS: Final = {service: f"{command}_port" for command, service in COMMANDS.items()}
"""The field that holds each service's port."""


def _probes(service: Service) -> str:
    return f"Port of {service}'s probes and metrics. Default {PORTS[service]}."


class UpSettings(BaseSettings):
    """The settings of everything on one machine. All ports are on 127.0.0.1.

    The default ports are below 32768, where Linux begins to give ports to outgoing connections: above, a client of ours
    could get the port of a store that has just died, and the store could not start again.
    """

    model_config = DatabaseSettings.model_config

    database_url: DatabaseUrl | None = Field(
        None, repr=False, description="A PostgreSQL of your own. Default: none, then one is started."
    )
    kafka_bootstrap_servers: Brokers | None = Field(
        None, description="Kafka brokers of your own. Default: none, then one is started."
    )
    prequal_data_dir: Path = Field(
        Path(".prequal"), description="Folder of data, logs and development keys. Default .prequal; one for each copy."
    )
    postgres_port: Port = Field(15432, description="Port of PostgreSQL. Default 15432: 5432 is often taken.")
    kafka_port: Port = Field(19092, description="Port of Kafka. Default 19092: 9092 is often taken.")
    kafka_controller_port: Port = Field(19093, description="Port of Kafka's own controller. Default 19093.")
    api_port: Port = Field(PORTS[Service.API], description=f"Port of prequal-api. Default {PORTS[Service.API]}.")
    credit_port: Port = Field(PORTS[Service.CREDIT], description=_probes(Service.CREDIT))
    decision_port: Port = Field(PORTS[Service.DECISION], description=_probes(Service.DECISION))
    publisher_port: Port = Field(PORTS[Service.PUBLISHER], description=_probes(Service.PUBLISHER))
    console_port: Port = Field(
        PORTS[Service.CONSOLE], description=f"Port of the console's pages. Default {PORTS[Service.CONSOLE]}."
    )
    admin_port: Port = Field(
        ADMIN_PORT, description=f"Port of the API's metrics and pages with --authentication keys. Default {ADMIN_PORT}."
    )
    watched_folder: Path | None = Field(
        None,
        description="A folder on the volume whose free space the metrics show. Default: the data folder.",
    )
    api_authentication: Literal["none", "keys"] = Field(
        "none",
        description="Whether nobody on this machine is asked who he is, or a caller needs a client's token "
        "(`prequal clients`), as everywhere else. Default none; --authentication wins.",
    )
    sandbox: bool = Field(
        True,
        description="Whether the published PANs of docs/sandbox.md have their published scores. Default true under "
        "`prequal up`, elsewhere false.",
    )
    encryption_key: KeyText | None = Field(
        None, description="Encrypts PANs, base64 of 32 bytes. Default: a development key, made once in the data folder."
    )
    encryption_key_file: FileName = Field(
        "", description="A key ring in place of ENCRYPTION_KEY, with SCORE_DRAW_KEY set beside it. Default: none."
    )
    pan_hash_key: KeyText | None = Field(
        None, description="Hashes PANs, base64 of 32 bytes. Default: a development key, made once in the data folder."
    )
    report_key: KeyText | None = Field(
        None, description="Signs reports, base64 of 32 bytes. Default: a development key, made once in the data folder."
    )

    record_key: KeyText | None = Field(
        None,
        description="Chains the record, base64 of 32 bytes. Default: a development key, made once in the data folder.",
    )
    people_key: KeyText | None = Field(
        None,
        description="Encrypts second factors, base64 of 32 bytes. Default: a development key, made once in the data "
        "folder.",
    )

    @model_validator(mode="after")
    def _no_key_is_another(self) -> Self:
        must_differ(**self._given)
        return self

    def keys(self) -> dict[str, str]:
        """The keys that were given, by the names of their settings."""
        return {name: key.get_secret_value() for name, key in self._given.items() if key is not None}

    @property
    def _given(self) -> dict[str, SecretStr | None]:
        return {
            "ENCRYPTION_KEY": self.encryption_key,
            "PAN_HASH_KEY": self.pan_hash_key,
            "REPORT_KEY": self.report_key,
            "RECORD_KEY": self.record_key,
            "PEOPLE_KEY": self.people_key,
        }

    @property
    def of_own_broker(self) -> dict[str, str]:
        """Settings that connect clients to a broker of ours, whatever is set for others: it speaks plaintext."""
        return {} if self.kafka_bootstrap_servers else PLAINTEXT

    def port_of(self, service: Service) -> int:
        """The HTTP port of a service."""
        port: int = getattr(self, PORT_SETTINGS[service])
        return port

    @property
    def pages_port(self) -> int:
        """The port of the API's metrics and pages."""
        return self.admin_port if self.api_authentication == "keys" else self.api_port

    def ports(self) -> dict[str, tuple[int, str]]:
        """The ports that will be bound, by the setting that moves each, with what needs it."""
        stores = {}
        if self.database_url is None:
            stores["POSTGRES_PORT"] = (self.postgres_port, "PostgreSQL")
        if self.kafka_bootstrap_servers is None:
            stores["KAFKA_PORT"] = (self.kafka_port, "Kafka")
            stores["KAFKA_CONTROLLER_PORT"] = (self.kafka_controller_port, "Kafka's controller")
        admin = {"ADMIN_PORT": (self.admin_port, "the API's metrics")} if self.api_authentication == "keys" else {}
        services = {
            setting.upper(): (self.port_of(service), service.value) for service, setting in PORT_SETTINGS.items()
        }
        return stores | services | admin
