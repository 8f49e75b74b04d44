from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from harness.broker import clients_of
from prequal.core.settings import KafkaSettings
from prequal.messaging.kafka_clients import (
    DEAD_LETTER_EXTRA_BYTES,
    MAX_MESSAGE_BYTES,
    Headers,
    Refusal,
    Settings,
    common_settings,
    consumer_settings,
    message_headers,
    producer_settings,
    read_headers,
)
from tests.builders import a_message
from tests.support.certificates import Authority

KINDS = [common_settings, producer_settings, partial(consumer_settings, group="g")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.idempotence", True),
        ("acks", "all"),
        ("allow.auto.create.topics", False),
        ("delivery.timeout.ms", 5000),
        ("max.in.flight.requests.per.connection", 1),
    ],
)
def test_producer_loses_reorders_and_repeats_nothing(name: str, value: object) -> None:
    assert producer_settings(clients_of("broker:9092"))[name] == value


@pytest.mark.parametrize("name", ["retries", "message.send.max.retries", "max.in.flight", "queue.buffering.max.kbytes"])
def test_nothing_weakens_the_promises_of_a_producer(name: str) -> None:
    assert name not in producer_settings(clients_of("broker:9092"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.auto.offset.store", False),
        ("enable.auto.commit", True),
        ("auto.offset.reset", "earliest"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("allow.auto.create.topics", False),
        ("group.id", "group"),
    ],
)
def test_consumer_skips_nothing(name: str, value: object) -> None:
    assert consumer_settings(clients_of("broker:9092"), "group")[name] == value


def test_consumer_is_not_expelled_while_it_handles_a_batch() -> None:
    settings = consumer_settings(clients_of("broker:9092"), "group")

    assert int(settings["max.poll.interval.ms"]) > int(settings["session.timeout.ms"])
    assert 3 * int(settings["heartbeat.interval.ms"]) <= int(settings["session.timeout.ms"])


def test_consumer_is_a_static_member_only_when_it_is_named() -> None:
    assert "group.instance.id" not in consumer_settings(clients_of("broker:9092"), "group")
    assert consumer_settings(clients_of("broker:9092"), "group", "credit-1")["group.instance.id"] == "credit-1"


def test_clients_take_messages_as_large_as_the_topics_do() -> None:
    bytes_max = MAX_MESSAGE_BYTES + DEAD_LETTER_EXTRA_BYTES

    assert producer_settings(clients_of("broker:9092"))["message.max.bytes"] == bytes_max
    assert consumer_settings(clients_of("broker:9092"), "group")["fetch.message.max.bytes"] == bytes_max
    assert DEAD_LETTER_EXTRA_BYTES == 64 * 1024


@pytest.mark.parametrize("make", KINDS)
def test_every_client_has_its_brokers_and_bounded_timeouts(make: Callable[[KafkaSettings], Settings]) -> None:
    settings = make(clients_of("b:1"))

    assert settings["bootstrap.servers"] == "b:1"
    assert int(settings["socket.timeout.ms"]) <= 6000
    assert int(settings["reconnect.backoff.max.ms"]) <= 1000


def test_the_client_knows_every_setting_of_a_producer() -> None:
    assert Producer(producer_settings(clients_of())) is not None


@pytest.mark.parametrize("instance", ["", "credit-1"])
def test_the_client_knows_every_setting_of_a_consumer(instance: str) -> None:
    consumer = Consumer(consumer_settings(clients_of(), "group", instance))

    consumer.close()


def test_client_refuses_an_unknown_setting() -> None:
    with pytest.raises(KafkaException, match=r"enable\.idempotency"):
        Producer(producer_settings(clients_of()) | {"enable.idempotency": True})


def test_message_without_headers_has_none() -> None:
    assert message_headers(a_message(headers=None)) == []


class Unreadable(Message):
    """A message whose headers the client cannot read."""

    def headers(self) -> Headers:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def test_unreadable_headers_are_none_and_no_error() -> None:
    assert read_headers(Unreadable()) is None


def test_read_headers_of_a_message_without_any_are_empty() -> None:
    assert read_headers(a_message(headers=None)) == []


def test_headers_keep_their_order_and_repetitions() -> None:
    headers: list[tuple[str, str | bytes | None]] = [("a", b"1"), ("b", None), ("a", b"2")]

    assert message_headers(a_message(headers=headers)) == headers


SASL = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-256",
    "kafka_sasl_username": "prequal",
    "kafka_sasl_password": "correct-horse",
}


def test_client_without_security_settings_uses_plaintext() -> None:
    settings = common_settings(clients_of())

    assert settings["security.protocol"] == "PLAINTEXT"
    assert [name for name in settings if name.startswith(("sasl.", "ssl."))] == []


def test_client_authenticates_its_user_over_an_encrypted_connection(tmp_path: Path) -> None:
    authority = Authority(tmp_path).file

    settings = common_settings(clients_of(**SASL, kafka_ssl_ca_location=str(authority)))

    assert {name: value for name, value in settings.items() if name.startswith(("security.", "sasl.", "ssl."))} == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "prequal",
        "sasl.password": "correct-horse",
        "ssl.ca.location": str(authority),
    }


def test_client_presents_its_own_certificate_when_it_has_one(tmp_path: Path) -> None:
    own = Authority(tmp_path).issue("prequal")
    given = {
        "kafka_security_protocol": "SSL",
        "kafka_ssl_certificate_location": str(own.certificate),
        "kafka_ssl_key_location": str(own.key),
        "kafka_ssl_key_password": "correct-horse",
    }

    settings = common_settings(clients_of(**given))

    assert settings["ssl.certificate.location"] == str(own.certificate)
    assert settings["ssl.key.location"] == str(own.key)
    assert settings["ssl.key.password"] == "correct-horse"


@pytest.mark.parametrize("make", KINDS)
def test_every_kind_of_client_is_secured(make: Callable[[KafkaSettings], Settings]) -> None:
    assert make(clients_of(**SASL))["security.protocol"] == "SASL_SSL"


def test_nothing_weakens_the_check_of_a_broker_certificate() -> None:
    settings = common_settings(clients_of(**SASL))

    assert {"enable.ssl.certificate.verification", "ssl.endpoint.identification.algorithm"}.isdisjoint(settings)


def test_the_client_knows_every_setting_of_security() -> None:
    assert Producer(producer_settings(clients_of(**SASL))) is not None


@pytest.mark.parametrize("code", [KafkaError._SSL, KafkaError._TRANSPORT], ids=["TLS", "lost connection"])
def test_certificate_that_does_not_verify_is_named_whichever_code_reports_it(code: int) -> None:
    refusal = Refusal()

    refusal(KafkaError(code, "ssl://localhost:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed"))

    assert refusal.sentence is not None
    assert "certificate" in refusal.sentence
