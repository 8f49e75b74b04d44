"""Foundations without store or network: errors, settings, failpoints, breakers, the life of a process."""
