"""The settings of each process, from the environment or `.env`, and nothing it does not need.

Invariant: no message about a bad setting repeats its value.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from prequal.core.database_url import verified
from prequal.core.errors import Misconfigured
from prequal.core.keys import KeyText, KeyTexts, must_differ, split
from prequal.core.settings import checks
from prequal.core.settings.bureau import BureauSettings
from prequal.core.settings.hash_key import HashKeySettings
from prequal.core.settings.http_tls import HttpTlsSettings
from prequal.core.settings.issuer import ApiIssuerSettings
from prequal.core.settings.kafka import KafkaSecuritySettings
from prequal.core.settings.key_source import KeySourceSettings
from prequal.core.settings.report import ReportKeySettings, VerifiedReportsSettings
from prequal.core.settings.review import ReviewSettings
from prequal.core.settings.writer import WriterSettings
from prequal.core.topology import ADMIN_PORT, PORTS, Service

ENV_FILE = ".env"
LEASE_SECONDS_MAX = 60
"""No lease of a publisher is longer: one that ends later was written under another clock."""


def _holder_types(text: str) -> str:
    letters = split(text)
    if not letters or (text != "any" and not all(len(each) == 1 and "A" <= each <= "Z" for each in letters)):
        raise ValueError("must be `any` or letters such as P,C")
    return text


DatabaseUrl = Annotated[str, AfterValidator(checks.postgresql)]
Brokers = Annotated[str, AfterValidator(checks.brokers)]
FileName = Annotated[str, AfterValidator(checks.file)]
Port = Annotated[int, Field(ge=1, le=65535)]
ServiceName = Annotated[str, Field(min_length=1, max_length=64, description="Name in logs and metrics.")]


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,  # operators inject empty variables: they are unset
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )


class DatabaseSettings(_Settings):
    """The settings of a connection to PostgreSQL."""

    database_url: DatabaseUrl = Field(
        repr=False,
        description="postgresql://user:password@host:port/database of PostgreSQL 15 or later; of several hosts, "
        "separated by commas, the one that takes writes is used. Required.",
    )
    database_ca_file: Annotated[str, AfterValidator(checks.authority)] = Field(
        "",
        description="PEM file of the authority that signs PostgreSQL's certificate: then every connection is encrypted "
        "and checks the certificate and the host's name, as with sslmode=verify-full and sslrootcert in DATABASE_URL.",
    )

    @model_validator(mode="before")
    @classmethod
    def _verified(cls, given: Any) -> Any:
        url, authority = given.get("database_url"), given.get("database_ca_file")
        return given | {"database_url": verified(url, authority)} if url and authority else given


class WrappingSettings(KeySourceSettings, _Settings):
    """The settings of a command that has a key service make keys."""


class RingSettings(KeySourceSettings, DatabaseSettings):
    """The settings of what encrypts or decrypts PANs: the database, and the ring of keys."""

    encryption_key: KeyText | None = Field(
        None,
        description="Encrypts PANs: base64 of 32 bytes. Required without ENCRYPTION_KEY_FILE; `prequal keys generate`.",
    )
    encryption_keys_retired: KeyTexts = Field(
        SecretStr(""), description="Keys that may still decrypt PANs, comma-separated, base64 of 32 bytes each."
    )
    encryption_key_file: FileName = Field(
        "",
        description="A key ring in place of the two above, mode 0600, read again within 5 s of a change: a "
        "line `active KEY`, and lines `decrypts KEY`, where a key service may have wrapped KEY. `prequal keys rotate` "
        "writes it.",
    )

    @model_validator(mode="after")
    def _one_ring(self) -> Self:
        has_keys = self.encryption_key is not None or bool(self.encryption_keys_retired.get_secret_value())
        if self.encryption_key_file and has_keys:
            raise ValueError("ENCRYPTION_KEY_FILE is set beside ENCRYPTION_KEY or ENCRYPTION_KEYS_RETIRED: keep one")
        if not self.encryption_key_file and self.encryption_key is None:
            raise ValueError("ENCRYPTION_KEY is missing")
        return self


class HashingSettings(HashKeySettings, DatabaseSettings):
    """The settings of a command that hashes: the database, and the keys that its hashes are made with."""


class ReportsSettings(VerifiedReportsSettings, DatabaseSettings):
    """The settings of a command that tells by which key a report was signed."""


class KafkaSettings(KafkaSecuritySettings, _Settings):
    """The settings of a client of Kafka."""

    kafka_bootstrap_servers: Brokers = Field(description="host:port[,host:port …] of the brokers. Required.")


class StoresSettings(DatabaseSettings, KafkaSettings):
    """The settings of a command that uses both stores, such as `prequal dlq`: no key."""


class TopicsSettings(KafkaSettings):
    """The settings of `prequal topics`."""

    kafka_replication_factor: int = Field(
        1,
        ge=1,
        le=10,
        description="Copies of each topic; 3 in production (min.insync.replicas is then 2), 1 on one machine.",
    )
    kafka_topic_partitions: int = Field(
        3,
        ge=1,
        le=1000,
        description="Partitions of each topic, at least: so many processes of a consumer share it. None is taken away.",
    )


class ServiceSettings(DatabaseSettings, KafkaSettings):
    """The settings of every service."""

    service_name: str = Field(
        "", min_length=1, max_length=64, description="Name in logs and metrics; the service's own by default."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    http_host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    http_port: Port = Field(8000, description="Port of /health, /ready and /metrics (and the API's own).")
    http_keep_alive_seconds: int = Field(
        75,
        ge=1,
        le=3600,
        description="Seconds that an idle connection is kept; longer than the load balancer in front keeps it.",
    )
    http_connections_max: int = Field(
        8192,
        ge=16,
        description="Most connections that are open, fewer if descriptors are short; then the longest idle one goes.",
    )
    prometheus_port: Port | None = Field(None, description="Port of /metrics; the HTTP port by default.")
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(checks.endpoint)] = Field(
        "", repr=False, description="http://host:4318 of an OTLP collector that takes traces over HTTP; off if empty."
    )
    otel_traces_sampler_arg: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of applications that are traced when their request brings no `traceparent`.",
    )
    shutdown_seconds: float = Field(
        8.0, gt=0, le=60, description="Seconds that SIGTERM leaves for requests and batches in flight."
    )


class RingAndTopicsSettings(RingSettings, KafkaSettings):
    """The settings of a command that looks for tokens wherever they are."""


class EncryptionSettings(ServiceSettings, RingSettings):
    """The settings of a service that encrypts or decrypts PANs."""

    sandbox: bool = Field(
        False,
        description="Whether the published PANs of docs/sandbox.md have their published scores, and are free of the "
        "24-hour rule. The same for API and credit-service; never on where real applicants are scored.",
    )


class ConsumerSettings(ServiceSettings):
    """The settings of a service that consumes a topic."""

    kafka_group_instance_id: str = Field(
        "", description="Static membership, for replicas with stable names; empty for none."
    )
    consumer_batch_max: int = Field(500, ge=1, le=5000, description="Most messages that share one transaction.")
    dead_letters_in_a_row_max: int = Field(
        50, ge=1, description="So many dead letters with nothing good between stop the consumer: a bad deploy."
    )


class ApiSettings(ApiIssuerSettings, HttpTlsSettings, HashKeySettings, WriterSettings, EncryptionSettings):
    """What `prequal api` needs: both keys, because it encrypts and hashes."""

    service_name: ServiceName = Service.API.value
    pan_holder_types: Annotated[str, AfterValidator(_holder_types)] = Field(
        "any",
        description="`any`, or the fourth letters of a PAN that are taken, such as P (individual) or P,H; then the "
        "serial 0000, which no PAN has, is refused too.",
    )
    api_authentication: Literal["keys", "none"] = Field(
        "keys",
        description="`keys`: callers need a client's token (`prequal clients`). `none`: they need nothing, on a "
        "loopback address alone.",
    )
    admin_host: str = Field("127.0.0.1", description="Address that the admin port listens on; 0.0.0.0 in a container.")
    admin_port: Port = Field(
        ADMIN_PORT,
        description="Port of /metrics, the pages and all of /ready; with API_AUTHENTICATION=none, HTTP_PORT.",
    )
    database_pool_size: int = Field(8, ge=1, le=100, description="Connections that status reads share.")
    write_batch_max: int = Field(256, ge=1, le=1000, description="Most applications that share one write.")
    waiting_max: int = Field(2000, ge=1, description="Most applications that wait for the write; more get a 503.")
    write_within_seconds: float = Field(
        0.75,
        gt=0,
        le=3,
        description="An application that would not be written within so many seconds gets a 503 at once.",
    )

    @model_validator(mode="after")
    def _keys_are_two(self) -> Self:
        must_differ(ENCRYPTION_KEY=self.encryption_key, PAN_HASH_KEY=self.pan_hash_key)
        for key in split(self.pan_hash_keys_retired.get_secret_value()):
            must_differ(ENCRYPTION_KEY=self.encryption_key, PAN_HASH_KEYS_RETIRED=SecretStr(key))
        return self

    @model_validator(mode="after")
    def _admin_port_is_another(self) -> Self:
        if self.api_authentication == "keys" and self.admin_port == self.http_port:
            raise ValueError("ADMIN_PORT is HTTP_PORT: set it to another port, which callers of the API do not reach")
        return self

    @model_validator(mode="after")
    def _open_to_this_machine_alone(self) -> Self:
        if self.api_authentication == "none" and not checks.is_loopback(self.http_host):
            raise ValueError(
                "API_AUTHENTICATION=none is for a loopback address alone: set HTTP_HOST=127.0.0.1, or "
                "API_AUTHENTICATION=keys"
            )
        return self


class CreditSettings(BureauSettings, WriterSettings, ReportKeySettings, EncryptionSettings, ConsumerSettings):
    """What `prequal credit` needs: the key that decrypts, not the one that hashes."""

    service_name: ServiceName = Service.CREDIT.value
    score_draw_key: KeyText | None = Field(
        None,
        description="Draws the ± 5 of the simulated score, and whom a challenger of the policy decides, base64 of 32 "
        "bytes. Default: ENCRYPTION_KEY. Set it to the first ENCRYPTION_KEY when another takes its place, and nobody's "
        "score or policy changes; required with ENCRYPTION_KEY_FILE.",
    )
    http_port: Port = Field(PORTS[Service.CREDIT], description="Port of /health, /ready and /metrics.")

    @model_validator(mode="after")
    def _decision_cannot_decrypt(self) -> Self:
        must_differ(ENCRYPTION_KEY=self.encryption_key, REPORT_KEY=self.report_key)
        return self

    @model_validator(mode="after")
    def _draws_stay(self) -> Self:
        if self.encryption_key_file and self.score_draw_key is None:
            raise ValueError("SCORE_DRAW_KEY is missing; beside ENCRYPTION_KEY_FILE it holds the first key of the ring")
        return self


class DecisionSettings(ReviewSettings, VerifiedReportsSettings, ConsumerSettings):
    """The settings of `prequal decision`: the key of reports, and none of PANs."""

    service_name: ServiceName = Service.DECISION.value
    http_port: Port = Field(PORTS[Service.DECISION], description="Port of /health, /ready and /metrics.")
    accept_unsigned_reports: bool = Field(
        False,
        description="Whether a report without a MAC is accepted, as releases before REPORT_KEY made them. Only while "
        "an upgrade lasts: meanwhile anybody who may write to the topic decides.",
    )


class PublisherSettings(WriterSettings, ServiceSettings):
    """The settings of `prequal publisher`: no key at all."""

    service_name: ServiceName = Service.PUBLISHER.value
    http_port: Port = Field(PORTS[Service.PUBLISHER], description="Port of /health, /ready and /metrics.")
    publish_batch_max: int = Field(500, ge=1, le=5000, description="Most events read at once.")
    publish_in_flight_max: int = Field(2000, ge=1, description="Most events at the broker and not yet acknowledged.")
    publish_poll_seconds: float = Field(
        0.4,
        gt=0,
        le=10,
        description="Seconds between a publisher's looks for events; without PUBLISH_OWN_EVENTS 0.05 at most.",
    )
    republish_after_seconds: float = Field(
        30.0, ge=5, description="Age of an undecided application, in seconds, after which its events are republished."
    )
    republish_max: int = Field(200, ge=1, le=5000, description="Most applications that are republished at once.")
    watched_folder: Path | None = Field(
        None, description="A folder on the volume whose free space the metrics show; by default none is watched."
    )
    lease_seconds: float = Field(
        3.0, ge=1, le=LEASE_SECONDS_MAX, description="Seconds for which a silent publisher keeps its topics."
    )


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S], **overrides: Any) -> S:
    """The settings of one process; `overrides` win over the environment, which wins over `.env`.

    Raises:
        Misconfigured: one sentence that names the setting and what is wrong with it, never its value; or `.env` is
            there and cannot be read.
    """
    file = Path(ENV_FILE).absolute()
    if file.is_dir() or (os.path.lexists(file) and not file.exists()):  # or it would be ignored in silence
        raise Misconfigured(
            f"{file} is a folder, or a link that leads nowhere: make it a file of settings, or remove it."
        )
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise Misconfigured(_sentence(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"The file {file} cannot be read: {type(error).__name__}.") from None


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(str(part) for part in problem["loc"]).upper()
        text = "is missing" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        parts.append(f"{name} {text}".strip())
    return "Bad settings: " + "; ".join(parts) + ". See .env.example for every setting."
