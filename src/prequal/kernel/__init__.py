"""What the rooms stand on: database, broker, codec, keys, settings, telemetry."""
