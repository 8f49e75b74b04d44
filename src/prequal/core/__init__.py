"""What everything stands on: errors, settings, failpoints, breakers, the life of a process. No I/O of its own."""
