"""Checks ports before anything starts.

Invariant: the sentence names the port, what needs it, and the setting that moves it.
"""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from prequal.core.errors import Misconfigured


def require_free(ports: Mapping[str, tuple[int, str]]) -> None:
    """Make sure that each port, by the name of its setting, can be bound on 127.0.0.1.

    Raises:
        Misconfigured: one is busy, or set twice.
    """
    users: dict[int, str] = {}
    for setting, (port, user) in ports.items():
        if port in users:
            raise Misconfigured(f"Port {port} is set for {users[port]} and for {user}: set {setting} to another one")
        if not is_free(port):
            raise Misconfigured(
                f"Port {port}, which {user} needs, is busy: stop what listens there, or set {setting} to a free one"
            )
        users[port] = user


def is_free(port: int) -> bool:
    """Whether nothing listens on 127.0.0.1:`port`."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether 127.0.0.1:`port` accepts connections."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nothing listens on now, as the kernel chooses them."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
