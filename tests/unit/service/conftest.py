"""Tests of a process's face run in the event loop of the processes: its transports differ from asyncio's."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Make every test's loop a uvloop."""
    return {"uvloop": uvloop.new_event_loop}
