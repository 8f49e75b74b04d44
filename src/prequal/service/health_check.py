"""The health check of the image: whether the process of the container answers, by HTTPS where there is a certificate.

Invariant: it loads nothing of the process, and asks at the loopback address, past every proxy.
"""

import http.client
import os
import ssl
from http import HTTPStatus
from typing import Final

HOST: Final = "127.0.0.1"
ANSWER_SECONDS: Final = 2.0


def is_healthy(port: int, *, by_https: bool) -> bool:
    """Whether `/health` is answered with 200 in time; whose name the certificate has is not looked at."""
    connection = _connection(port, by_https=by_https)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _connection(port: int, *, by_https: bool) -> http.client.HTTPConnection:
    if not by_https:
        return http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(HOST, port, timeout=ANSWER_SECONDS, context=context)


if __name__ == "__main__":
    # Of the processes that are given a certificate the workers speak HTTP alone.
    schemes = (True, False) if os.environ.get("HTTP_CERTIFICATE_FILE") else (False,)
    raise SystemExit(not any(is_healthy(int(os.environ["HTTP_PORT"]), by_https=by_https) for by_https in schemes))
