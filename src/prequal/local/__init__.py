"""The parts of one machine: PostgreSQL, Kafka, and whoever keeps everything running."""
