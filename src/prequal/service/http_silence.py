"""A connection before its first byte.

Invariant: who connects and says nothing costs no parser, no buffer and no task.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from prequal.service.http_connections import Connections

if TYPE_CHECKING:
    from prequal.service.http_protocol import Protocol


class Silent(asyncio.Protocol):
    """A connection on which nothing has come yet: it costs next to nothing, and becomes a `Protocol`."""

    __slots__ = ("_app_state", "_config", "_has_room", "_kind", "_server_state", "_waits", "transport")

    transport: asyncio.Transport

    def __init__(
        self,
        kind: "type[Protocol]",
        waits: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._kind = kind
        self._waits = waits
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._has_room = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for its first byte."""
        self.transport = transport  # type: ignore[assignment]  # uvloop's has no base class
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # it can be shut down
        self._has_room = self._waits.opened(self)

    def data_received(self, data: bytes) -> None:
        """Become what can read it."""
        self._server_state.connections.discard(self)
        protocol = self._kind(self._waits, self._config, self._server_state, self._app_state)
        protocol.only_probes = not self._has_room
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        self._waits.replace(self, protocol)
        protocol.data_received(data)

    def connection_lost(self, _: BaseException | None) -> None:
        """Count the connection as ended."""
        self._server_state.connections.discard(self)
        self._waits.closed(self)

    def shutdown(self) -> None:
        """Hang up, because the process is to end."""
        self._waits.hang_up(self)

    def late(self) -> None:
        """Nothing is late that has not begun."""
