#!/usr/bin/env bash
# uvicorn 0.54.0, httptools 0.9.0, h11 0.16.0
#
# Done: a POST with a body of five bytes offers HTTP/2 in clear (Upgrade: h2c), as the HTTP client of the JDK does by
#   default and curl --http2 does; once with uvicorn on httptools, its default if it is there, once on h11.
# Expected: the server does not take the offer and serves the request as it is (RFC 9110, 7.8): five bytes.
# Seen: on httptools the application gets the request without its body, and answers as if it were empty. On h11 it
#   gets it whole.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0

python - <<'PYTHON'
import socket
import threading
import time

import uvicorn

REQUEST = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\nhello"
)


async def echo(scope, receive, send):
    """Answer with the body that came."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"<" + body + b">"})


def answered(http):
    server = uvicorn.Server(uvicorn.Config(echo, port=0, http=http, ws="none", lifespan="off", log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=20) as client:
        client.sendall(REQUEST)
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    server.should_exit = True
    thread.join()
    return answer[answer.index(b"<") : answer.index(b">") + 1].decode()


by_httptools, by_h11 = answered("httptools"), answered("h11")
assert (by_httptools, by_h11) == ("<>", "<hello>"), (by_httptools, by_h11)
print("expected: an offer that is not taken leaves the request as it is: <hello>")
print(f"seen: {by_httptools} on httptools, {by_h11} on h11")
PYTHON
