"""One service as a process: its start, its HTTP probes, its end."""
