"""One machine: PostgreSQL, Kafka and the four processes, started, watched and stopped by one supervisor."""
