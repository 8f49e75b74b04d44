"""Connections to PostgreSQL, how a start waits for it, and the check values of keys."""
