"""Faults on purpose: a system of their own, load on it, what is broken and mended, and the checker that decides."""
