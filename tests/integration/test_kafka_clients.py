"""A client as it is set, against a real broker."""

from confluent_kafka import Consumer, Producer

from harness.broker import SUBMITTED, Broker, clients_of
from harness.waiting import eventually
from prequal.messaging.kafka_clients import consumer_settings, producer_settings


def test_messages_that_a_busy_consumer_does_not_take_wait_at_the_broker(broker: Broker) -> None:
    kafka = clients_of(broker.bootstrap_servers)
    producer, consumer = Producer(producer_settings(kafka)), Consumer(consumer_settings(kafka, "busy"))

    def publish() -> None:
        producer.produce(SUBMITTED, b"one", partition=0)
        assert producer.flush(30) == 0

    try:
        consumer.subscribe([SUBMITTED])
        publish()
        assert eventually(lambda: consumer.poll(0.1))

        for _ in range(100):
            publish()

        waiting_here = consumer.consume(100, 0)
        assert len(waiting_here) < 50
        rest = 100 - len(waiting_here)
        assert len(consumer.consume(rest, 30)) == rest
    finally:
        consumer.close()
