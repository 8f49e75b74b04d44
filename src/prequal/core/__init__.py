"""What everything stands on: errors, settings, failpoints, breakers, the life of a process. No store, no network."""
