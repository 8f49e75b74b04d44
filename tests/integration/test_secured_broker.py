"""A broker that lets in only who proves a user over TLS, as a lender's own would be."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.broker import SUBMITTED, clients_of
from harness.ports import free_ports
from harness.stores import started
from prequal.core.errors import Transient
from prequal.core.settings import KafkaSettings
from prequal.local.kafka import Kafka
from prequal.messaging import consumer_lag, topics
from prequal.messaging.kafka_clients import consumer_settings, producer_settings

USER, PASSWORD = "prequal", "correct-horse"


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself: the broker's file with its key, and the authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own, authority = folder / "broker.pem", folder / "authority.pem"
    own.write_bytes(secret + certificate)
    authority.write_bytes(certificate)
    return own, authority


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """A broker with a second listener for SASL_SSL, and the settings of a client that uses it."""
    folder = tmp_path_factory.mktemp("secured")
    own, authority = write_certificate(folder)
    port, controller_port, secured_port = free_ports(3)
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    node = Kafka(
        folder / "kafka",
        port,
        controller_port,
        properties={
            "listeners": (
                f"PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured_port},"
                f"CONTROLLER://127.0.0.1:{controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{secured_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(own),
        },
    )
    with started(node):
        yield clients_of(
            f"localhost:{secured_port}",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="PLAIN",
            kafka_sasl_username=USER,
            kafka_sasl_password=PASSWORD,
            kafka_ssl_ca_location=str(authority),
        )


def test_client_that_proves_its_user_over_tls_creates_topics_publishes_and_consumes(secured: KafkaSettings) -> None:
    topics.create(secured)
    delivered: list[object] = []
    producer = Producer(producer_settings(secured))
    producer.produce(SUBMITTED, b"an event", on_delivery=lambda error, _: delivered.append(error))
    producer.flush(10)

    assert delivered == [None]
    assert read_one(secured).value() == b"an event"
    assert sum(consumer_lag.by_group(secured).values()) == 1
    assert topics.create(secured) == []


@pytest.mark.parametrize(
    "wrong", [{"kafka_sasl_password": "hunter2"}, {"kafka_ssl_ca_location": ""}], ids=["password", "authority"]
)
def test_who_proves_nothing_is_not_let_in(
    secured: KafkaSettings, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "ANSWER_SECONDS", 3.0)
    changed = secured.model_dump() | wrong

    with pytest.raises(Transient):
        topics.create(KafkaSettings.model_validate(changed))


def read_one(kafka: KafkaSettings) -> Message:
    """The first message that a new member of a group is given."""
    consumer = Consumer(consumer_settings(kafka, "any-group"))
    try:
        consumer.subscribe([SUBMITTED])
        (message,) = consumer.consume(1, 20)
        return message
    finally:
        consumer.close()
