"""Measurements: bounded loads against a system that runs on this machine, and what was seen."""
