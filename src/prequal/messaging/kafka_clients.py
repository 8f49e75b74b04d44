"""The settings of our Kafka clients, what their errors mean, and the thread that serves a producer's callbacks.

Invariant: a producer is idempotent, a consumer never stores an offset by itself, no client creates a topic by accident.
"""

import asyncio
import contextlib
import operator
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from confluent_kafka import KafkaError, Message, Producer

from prequal.core.settings import KafkaSettings

Settings = dict[str, str | int | bool | float]
Headers: TypeAlias = list[tuple[str, str | bytes | None]]

MAX_MESSAGE_BYTES = 1_048_588
"""The largest message of a topic: Kafka's default. Dead-letter topics take 64 KiB more, for the `dlq.*` headers."""
DEAD_LETTER_EXTRA_BYTES = 65_536


def common_settings(kafka: KafkaSettings) -> Settings:
    """The settings of every client: quick to notice that a broker is back, quiet while it is away."""
    return _security(kafka) | {
        "bootstrap.servers": kafka.kafka_bootstrap_servers,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "socket.connection.setup.timeout.ms": 3000,
        "socket.timeout.ms": 6000,
        "socket.keepalive.enable": True,
        "log.connection.close": False,
        "log_level": 3,
    }


def _security(kafka: KafkaSettings) -> Settings:
    """Encryption and authentication; librdkafka checks the name in a broker's certificate by default."""
    protocol = kafka.kafka_security_protocol
    settings: Settings = {"security.protocol": protocol}
    if protocol.startswith("SASL"):
        settings |= {
            "sasl.mechanism": kafka.kafka_sasl_mechanism,
            "sasl.username": kafka.kafka_sasl_username,
            "sasl.password": kafka.sasl_password,
        }
    if protocol.endswith("SSL"):
        files = {
            "ssl.ca.location": kafka.kafka_ssl_ca_location,
            "ssl.certificate.location": kafka.kafka_ssl_certificate_location,
            "ssl.key.location": kafka.kafka_ssl_key_location,
            "ssl.key.password": kafka.kafka_ssl_key_password.get_secret_value(),
        }
        settings |= {name: value for name, value in files.items() if value}
    return settings


class Refusal:
    """Why the brokers let a client in no more, as the client's callback for errors hears it.

    Attributes:
        sentence: the last reason; None while there is none but that no broker answers.
    """

    def __init__(self) -> None:
        self.sentence: str | None = None

    def __call__(self, error: KafkaError) -> None:
        """Note an error of the client."""
        if error.code() == KafkaError._AUTHENTICATION:
            self.sentence = "Kafka refuses the user of KAFKA_SASL_USERNAME, its password or KAFKA_SASL_MECHANISM"
        elif "certificate verify failed" in error.str():
            # Of two paths that report it, one has the code of a lost connection (_TRANSPORT), not that of TLS.
            self.sentence = (
                "the certificate of a Kafka broker is not signed by the authority of KAFKA_SSL_CA_LOCATION, or not for "
                "the broker's name"
            )
        elif error.code() == KafkaError._SSL or "SSL" in error.str():
            self.sentence = "a Kafka broker does not speak TLS as KAFKA_SECURITY_PROTOCOL says"


def producer_settings(kafka: KafkaSettings) -> Settings:
    """Idempotent, so acks=all and in order; what is not acknowledged within five seconds is published again by us.

    One request is in flight at a time: what comes meanwhile shares the next one, which under load takes a fifth of the
    broker's CPU away, for the client makes a request for each partition. And of several, one that is refused while its
    topic is being created, and sent again, comes behind a later one: the broker takes it for a duplicate, and
    acknowledges a message that it does not keep.
    """
    return common_settings(kafka) | {
        "max.in.flight.requests.per.connection": 1,
        "enable.idempotence": True,
        "acks": "all",
        "delivery.timeout.ms": 5000,
        "linger.ms": 0,
        "allow.auto.create.topics": False,
        # A missing topic is reported after a second, not after thirty.
        "topic.metadata.propagation.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10000,
        "queue.buffering.max.messages": 20000,
        "message.max.bytes": MAX_MESSAGE_BYTES + DEAD_LETTER_EXTRA_BYTES,
    }


def consumer_settings(kafka: KafkaSettings, group: str, instance: str = "") -> Settings:
    """Offsets are stored by us after the commit, and committed by the client each second.

    Nothing is fetched while messages wait here to be polled: what comes meanwhile is fetched at once. By default the
    client fetches 100,000 messages ahead, which under load is a request for each batch that is produced, four times as
    many for the same messages.
    """
    static = {"group.instance.id": instance} if instance else {}
    return (
        common_settings(kafka)
        | static
        | {
            "group.id": group,
            "enable.auto.commit": True,
            "auto.commit.interval.ms": 1000,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 10000,
            "heartbeat.interval.ms": 2000,
            "max.poll.interval.ms": 120000,
            "allow.auto.create.topics": False,
            "topic.metadata.refresh.interval.ms": 5000,
            "fetch.wait.max.ms": 500,
            "fetch.error.backoff.ms": 100,
            "queued.min.messages": 1,
            # How soon it looks again whether they were polled; by default a second.
            "fetch.queue.backoff.ms": 2,
            "queued.max.messages.kbytes": 16384,
            "fetch.message.max.bytes": MAX_MESSAGE_BYTES + DEAD_LETTER_EXTRA_BYTES,
        }
    )


def is_fatal(error: KafkaError) -> bool:
    """Whether the client that raised `error` is of no more use; `KafkaError.fatal()` alone does not say."""
    return error.fatal() or error.code() == KafkaError._FATAL


REFUSALS_OF_A_BATCH = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
}
"""Refusals of a whole batch for the sake of one message in it."""

MISSING_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}

REFUSALS = REFUSALS_OF_A_BATCH | MISSING_TOPIC | {KafkaError.TOPIC_EXCEPTION, KafkaError.TOPIC_AUTHORIZATION_FAILED}
"""Refusals for a reason of the message or its topic."""


def is_missing_topic(error: KafkaError) -> bool:
    """Whether the topic or the partition does not exist."""
    return error.code() in MISSING_TOPIC


def is_infrastructure_error(error: KafkaError) -> bool:
    """Whether a message was refused for no reason of its own or its topic's."""
    return error.code() not in REFUSALS


def read_headers(message: Message) -> Headers | None:
    """The headers of a message as a list of its own, empty when there are none; None when they cannot be read.

    To be called once a message. The client raises for headers that it cannot decode, and ends the process by SIGSEGV
    when it is asked for the same message's headers again.
    """
    try:
        return message_headers(message)
    except Exception:  # whatever it raises: the next read would not raise but crash
        return None


def message_headers(message: Message) -> Headers:
    """The headers of a message of our own; an empty list when it has none."""
    found: Any = _ask_for_headers(message)
    return list(found or [])


_ask_for_headers = operator.methodcaller("headers")
"""Not `message.headers()`: for headers that it cannot decode the client returns names that are NULL, with an error set.
A call that Python has specialized for speed does not look at that, and the error comes up anywhere later."""


class CallbackPoller:
    """Serves a producer's callbacks: from a thread of its own while somebody waits for them, else when it is asked to.

    Under load the event loop serves many at once. In a thread each of them would take the interpreter's lock from it.
    """

    def __init__(self, producer: Producer, wake: Callable[[], None]) -> None:
        self._producer = producer
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="kafka-callbacks", daemon=True)
        self._thread.start()

    def serve(self) -> None:
        """Run the callbacks that are due, here and now."""
        if self._producer.poll(0):
            self._wake()

    def watch(self) -> None:
        """Run each callback as soon as it is due, in the thread, and wake the event loop."""
        self._wanted.set()

    def rest(self) -> None:
        """Leave the callbacks to `serve`."""
        self._wanted.clear()

    def stop(self) -> None:
        """Stop serving; returns at once."""
        self._stopped = True
        self._wanted.set()

    def _serve(self) -> None:
        while self._wanted.wait() and not self._stopped:
            if self._producer.poll(0.2) and not self._stopped:
                with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
                    self._loop.call_soon_threadsafe(self._wake)
