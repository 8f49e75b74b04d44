"""Addresses that are reached without the proxies of the environment.

Invariant: what is meant for this machine does not leave it.
"""

from typing import Final

DIRECT: Final[dict[str, None]] = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
"""Mounts of an httpx client: proxies of the environment are used, except to this machine itself."""
