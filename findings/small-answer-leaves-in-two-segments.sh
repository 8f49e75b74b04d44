#!/usr/bin/env bash
# uvicorn 0.54.0 with httptools 0.9.0 and h11 0.16.0, on uvloop 0.23.0 and Python's own asyncio; hypercorn 0.18.0
#
# Done: an ASGI application answers {} with a Content-Length; a client reads the answer and asks its kernel how many
#   segments with data came (tcpi_data_segs_in), for ten requests on one connection.
# Expected: head and body of an answer of 100 bytes leave in one segment: the server has both before it returns to its
#   loop, which could gather what is written within one turn.
# Seen: two segments an answer, whatever the parser and the loop: the servers hand on the head and the body as they come
#   from the application, and both loops write at once. So each answer costs two system calls and wakes its client twice.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0 uvloop==0.23.0 hypercorn==0.18.0

cat >"$work/application.py" <<'PYTHON'
async def application(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("HTTP alone")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
PYTHON

PYTHONPATH=$work python - <<'PYTHON'
import socket
import struct
import subprocess
import sys
import time

REQUESTS = 10
DATA_SEGMENTS_IN = 152  # of struct tcp_info, since Linux 4.6


def connected(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("not seen: the server does not listen")


def segments(command):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", *(word.format(port=port) for word in command)])
    try:
        with connected(port) as client:
            for _ in range(REQUESTS):
                client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
                answer = b""
                while not answer.endswith(b"\r\n\r\n{}"):
                    answer += client.recv(4096)
            info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    finally:
        server.terminate()
        server.wait()
    return struct.unpack_from("I", info, DATA_SEGMENTS_IN)[0]


uvicorn = ["uvicorn", "application:application", "--port", "{port}", "--log-level", "error"]
seen = {
    f"uvicorn, {parser}, {loop}": segments([*uvicorn, "--http", parser, "--loop", loop])
    for parser in ("httptools", "h11")
    for loop in ("uvloop", "asyncio")
}
seen["hypercorn"] = segments(["hypercorn", "application:application", "--bind", "127.0.0.1:{port}", "--log-level", "error"])
assert all(count == 2 * REQUESTS for count in seen.values()), seen
print(f"expected: {REQUESTS} small answers come in {REQUESTS} segments")
print("seen: " + "; ".join(f"{server}: {count}" for server, count in seen.items()))
PYTHON
