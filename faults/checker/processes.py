"""Measures the services from outside: threads and descriptors by the operating system, decrypts by `/metrics`.

Invariant: a process that is gone is left out, never guessed.
"""

import contextlib
import time
import urllib.request
from collections.abc import Iterator, Mapping

import psutil

from faults.checker.system import Process
from harness.journal import SERVICES, Measured

SECONDS = 3.0
DECRYPTS = "pan_decrypts_total"


def measure(processes: Mapping[str, Process]) -> tuple[Measured, ...]:
    """Each process of a service that runs now, a second one as `api-2`."""
    return tuple(_measured({name: each for name, each in processes.items() if service_of(name) in SERVICES}))


def service_of(name: str) -> str:
    """The service of a process."""
    return name.removesuffix("-2")


def _measured(processes: Mapping[str, Process]) -> Iterator[Measured]:
    for service, process in processes.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            seen = psutil.Process(process.pid)
            decrypts = metric(process.port, DECRYPTS) if service_of(service) == "credit" else None
            yield Measured(service, time.time(), process.pid, seen.num_threads(), seen.num_fds(), decrypts)


def metric(port: int, name: str) -> float | None:
    """The sum of a metric's samples; None when the service does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return None
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))
