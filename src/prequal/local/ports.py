"""Which ports are free, asked before anything starts.

Invariant: the sentence names the port, who needs it, and the setting that moves it.
"""

import socket
from collections.abc import Mapping

from prequal.core.errors import Misconfigured


def require_free(ports: Mapping[str, tuple[int, str]]) -> None:
    """Make sure that each port, by the name of its setting, can be listened on at 127.0.0.1.

    Raises:
        Misconfigured: one is busy, or asked for twice.
    """
    takers: dict[int, str] = {}
    for setting, (port, who) in ports.items():
        if port in takers:
            raise Misconfigured(f"Port {port} is wanted by {takers[port]} and by {who}: set {setting} to another one")
        if not is_free(port):
            raise Misconfigured(
                f"Port {port}, which {who} needs, is busy: stop what listens there, or set {setting} to a free one"
            )
        takers[port] = who


def is_free(port: int) -> bool:
    """Whether nobody listens on 127.0.0.1:`port`."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether somebody takes connections on 127.0.0.1:`port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
