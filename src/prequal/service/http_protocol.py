"""HTTP as every process speaks it: uvicorn's protocol, and what the open network needs beyond it.

Invariant: an offer to change the protocol is declined by answering the message it rides on (RFC 9110, 7.8).
"""

from collections.abc import Iterable
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

NO_HTTP: Final = "The request is not well-formed HTTP."

_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
"""The headers of an offer, and the words for them in `Connection`."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response(NO_HTTP)

    def _parse(self, data: bytes) -> bytes:
        """Parse, up to an offer at most: that message is begun again without it; returns what is still to be parsed."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._begin_again()
            return data[offer.args[0] :]
        return b""

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the message comes a second time, without its offer."""
        if not self._offers():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is whole; an offer's seems to be, before it was read."""
        if not self._offers():
            super().on_message_complete()

    def _offers(self) -> bool:
        offers: bool = self.parser.should_upgrade()
        return offers

    def _begin_again(self) -> None:
        """Parse the head that has just come without its offer, with a new parser.

        Raises:
            HttpParserError: it is a CONNECT, which is an offer by its method.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError
        version = self.parser.get_http_version().encode()
        fields = [b"%b: %b\r\n" % field for field in _without_offer(self.headers)]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(fields)))


def _without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """The headers but those of an offer, which `Connection` does not name any more either."""
    for name, value in headers:
        if name == b"connection":
            yield name, b", ".join(word for word in _words(value) if word.lower() not in _OFFER)
        elif name not in _OFFER:
            yield name, value


def _words(value: bytes) -> list[bytes]:
    return [word.strip() for word in value.split(b",")]
