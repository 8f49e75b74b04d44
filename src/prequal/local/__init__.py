"""One machine: PostgreSQL, Kafka and the five processes, started, watched and stopped by one supervisor."""
