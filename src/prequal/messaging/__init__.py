"""Kafka, and the tables beside it: events, topics, outbox and inbox, and the consumer."""
