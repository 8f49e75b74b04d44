import asyncio
import subprocess
import sys

import pytest

from prequal.core.errors import Misconfigured
from prequal.core.lifecycle import pause, together


async def test_a_pause_ends_at_a_stop() -> None:
    stop = asyncio.Event()
    stop.set()

    await asyncio.wait_for(pause(stop, 60), 10)


async def test_a_pause_ends_by_itself() -> None:
    await asyncio.wait_for(pause(asyncio.Event(), 0.001), 10)


async def test_the_first_failure_ends_all_and_is_raised_as_itself() -> None:
    ended: list[bool] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def fail() -> None:
        await asyncio.sleep(0)
        async with asyncio.TaskGroup():
            raise Misconfigured("a port is taken")

    async def run() -> None:
        async with together() as group:
            group.create_task(wait())
            group.create_task(fail())

    with pytest.raises(Misconfigured, match="a port is taken"):
        await asyncio.wait_for(run(), 10)

    assert ended == [True]


async def test_what_goes_well_together_ends_well() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    async with together() as group:
        group.create_task(work())
        group.create_task(work())

    assert done == [1, 1]


SERVICE = """
import ctypes, resource
from types import SimpleNamespace
from prequal.service import process

async def main(stop):
    print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))

settings = SimpleNamespace(service_name="one", log_level="ERROR", otel_exporter_otlp_endpoint=None, shutdown_seconds=5)
process.run(settings, main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process whether it is dumpable")
def test_service_leaves_no_core_file_and_lets_nobody_read_its_memory() -> None:
    done = subprocess.run([sys.executable, "-c", SERVICE], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "(0, 0) 0\n", done.stderr
