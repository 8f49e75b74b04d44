"""Connections to PostgreSQL, the wait for it at a start, and the check values of keys."""
