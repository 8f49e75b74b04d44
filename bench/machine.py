"""The machine that something was measured on, in one line."""

import os
import platform
from pathlib import Path

import psutil

from prequal.core import python_build


def words() -> str:
    """Cores, memory, kernel, Python, and how busy the machine was in the last minute, this run's own start included."""
    build = "optimised" if python_build.is_optimized() else "plain"
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {python_build.version()} ({build}), load average {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
