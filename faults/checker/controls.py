"""Plants PANs that the search has to find: one through Kafka, one through PostgreSQL.

Invariant: what is planted goes the way that a leak would go, through the store, and nowhere near the service's tables.
"""

import random
import string

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from faults.checker.database import connected
from faults.checker.system import JudgedSystem

TOPIC = "faults_checker_control"
SECONDS = 30.0
THROUGH_KAFKA, THROUGH_POSTGRESQL = "planted through Kafka", "planted through PostgreSQL"


def plant(system: JudgedSystem) -> dict[str, str]:
    """Plant both; returns where each went, by PAN.

    Raises:
        KafkaException: the broker does not take it.
        psycopg.Error: the database does not.
    """
    through_kafka, through_postgresql = _fresh_pan(), _fresh_pan()
    _produce(system.bootstrap_servers, through_kafka)
    _store(system.database_url, through_postgresql)
    return {through_kafka: THROUGH_KAFKA, through_postgresql: THROUGH_POSTGRESQL}


def _produce(bootstrap_servers: str, pan: str) -> None:
    settings: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
    admin = AdminClient(settings)
    try:
        admin.create_topics([NewTopic(TOPIC, 1, 1)], operation_timeout=SECONDS)[TOPIC].result(SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    failures: list[object] = []
    producer = Producer(settings | {"acks": "all", "message.timeout.ms": int(SECONDS * 1000)})
    producer.produce(TOPIC, pan, on_delivery=lambda error, _: failures.append(error) if error else None)
    if producer.flush(SECONDS) or failures:
        raise KafkaException(*failures)


def _store(database_url: str, pan: str) -> None:
    with connected(database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS faults_checker_control (pan text)")
        # Twice: one record in a thousand is cut in two by the header of a page of the WAL.
        connection.execute("INSERT INTO faults_checker_control VALUES (%s), (%s)", [pan, pan])
        connection.execute("DROP TABLE faults_checker_control")


def _fresh_pan() -> str:
    chance = random.SystemRandom()
    *letters, last = (chance.choice(string.ascii_uppercase) for _ in range(6))
    return f"{''.join(letters)}{chance.randrange(10_000):04}{last}"
