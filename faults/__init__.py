"""Faults on purpose: a system of their own, load on it, what is broken and restored, and the checker that decides."""
