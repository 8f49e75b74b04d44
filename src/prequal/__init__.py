"""Instant loan prequalification: submit, assess, decide."""

from importlib.metadata import version

__version__ = version("prequal")
