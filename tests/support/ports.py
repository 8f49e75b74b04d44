"""Ports on 127.0.0.1 that nobody listens on."""

import socket


def free_ports(count: int) -> list[int]:
    """`count` different ones, free when asked."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
