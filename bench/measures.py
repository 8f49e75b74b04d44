"""What a load is measured by: percentiles of its latencies, CPU and memory of each process and of the client itself."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

import psutil

CLIENT: Final = "client"
"""The name of this process among those that are measured."""


def at(share: float, seconds: Sequence[float]) -> float:
    """The value that this share of them does not exceed, in milliseconds. Raises IndexError when there are none."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def percentiles(seconds: list[float]) -> str:
    """Median, 99th percentile and maximum in milliseconds."""
    if not seconds:
        return "-"
    return f"p50 {at(0.5, seconds):.1f} ms, p99 {at(0.99, seconds):.1f} ms, max {at(1.0, seconds):.1f} ms"


def cpu_seconds(processes: dict[str, Any]) -> dict[str, float]:
    """CPU seconds used so far by each process, its children and those of them that have ended."""
    used = {}
    for name, about in processes.items():
        process = psutil.Process(about["pid"])
        used[name] = 0.0
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since: its parent has its seconds
                used[name] += sum(member.cpu_times()[:4])
    return used


def cpu_seconds_of_all(processes: dict[str, Any]) -> dict[str, float]:
    """`cpu_seconds`, and those of this client."""
    return {**cpu_seconds(processes), CLIENT: time.process_time()}


def mebibytes(processes: dict[str, Any]) -> dict[str, float]:
    """Resident memory of each process, and of this client."""
    pids = {**{name: about["pid"] for name, about in processes.items()}, CLIENT: None}
    return {name: psutil.Process(pid).memory_info().rss / 2**20 for name, pid in pids.items()}
