"""The settings of `prequal console`.

Invariant: no key is among them that opens, hashes or signs anything of an applicant.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from prequal.core.keys import must_differ
from prequal.core.settings import Port, ServiceName, ServiceSettings, StoresSettings, checks
from prequal.core.settings.http_tls import HttpTlsSettings
from prequal.core.settings.issuer import SignInIssuerSettings
from prequal.core.settings.people import PeopleKeySettings
from prequal.core.settings.record import ChainSettings
from prequal.core.topology import CONSOLE_ADMIN_PORT, PORTS, Service


class ConsoleSettings(
    SignInIssuerSettings, HttpTlsSettings, PeopleKeySettings, ChainSettings, ServiceSettings, StoresSettings
):
    """The settings of `prequal console`: of keys those of the record and of second factors alone."""

    service_name: ServiceName = Service.CONSOLE.value
    http_port: Port = Field(PORTS[Service.CONSOLE], description="Port of the pages, of /health, and of /ready.")
    admin_host: str = Field("127.0.0.1", description="Address that the admin port listens on; 0.0.0.0 in a container.")
    console_admin_port: Port | None = Field(
        None,
        description="Port of /metrics and all of /ready. Default: on a loopback address HTTP_PORT, elsewhere "
        f"{CONSOLE_ADMIN_PORT}; set it where a proxy on this machine leads others to the pages.",
    )
    console_idle_minutes: int = Field(
        30, ge=1, le=1440, description="Minutes after which a session that nobody uses ends."
    )
    console_session_hours: int = Field(12, ge=1, le=168, description="Hours after which every session ends.")
    console_time_zone: Annotated[str, AfterValidator(checks.time_zone)] = Field(
        "Asia/Kolkata", description="Zone in which times are shown, by its name in the IANA database."
    )
    try_it_api_url: Annotated[str, AfterValidator(checks.endpoint)] = Field(
        "", description="Address of an API whose sandbox is on, for the page Try it; without it there is no such page."
    )
    try_it_token: SecretStr = Field(SecretStr(""), description="Token of a sandbox client there, if the API asks.")

    @property
    def probes_port(self) -> int | None:
        """The port of what is no business of those who reach the pages; None where only this machine reaches them."""
        if self.console_admin_port is None and not checks.is_loopback(self.http_host):
            return CONSOLE_ADMIN_PORT
        return self.console_admin_port

    @model_validator(mode="after")
    def _admin_port_is_another(self) -> Self:
        if self.probes_port == self.http_port:
            raise ValueError("CONSOLE_ADMIN_PORT is HTTP_PORT: set it to another port, which nobody else reaches")
        return self

    @model_validator(mode="after")
    def _keys_are_two(self) -> Self:
        must_differ(RECORD_KEY=self.record_key, PEOPLE_KEY=self.people_key)
        return self
