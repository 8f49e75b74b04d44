"""Encryption and hashing of PANs."""
