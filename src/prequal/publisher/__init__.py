"""publisher: relays the outbox to Kafka, and publishes again what stayed undecided."""
