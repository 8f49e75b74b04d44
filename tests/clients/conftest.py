"""The API of `tests/api`."""

from tests.api.conftest import api

__all__ = ["api"]
