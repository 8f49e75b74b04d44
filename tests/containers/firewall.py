"""The rules of this machine's packet filter that podman's network program leaves behind when its last network is gone.

Invariant: only chains of netavark's own, and the rules that lead to them, are removed.
"""

import re
import shlex
import subprocess

TABLES = ("nat", "filter")


def remains() -> list[tuple[str, str]]:
    """Tables and rules, as `iptables` takes them, that are netavark's or lead there: rules first, then its chains."""
    found = [
        (table, line)
        for table in TABLES
        for line in _iptables(table, "-S").stdout.splitlines()
        if re.match(r"-[AN] .*\bNETAVARK", line)
    ]
    return sorted(found, key=lambda each: each[1].startswith("-N"))


def remove() -> None:
    """Remove them all."""
    for table, line in remains():
        words = shlex.split(line)
        _iptables(table, "-D" if words[0] == "-A" else "-X", *words[1:])


def _iptables(table: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["iptables", "-w", "-t", table, *words], capture_output=True, text=True, check=True)
