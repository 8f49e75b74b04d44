#!/usr/bin/env bash
# uvicorn 0.54.0
#
# Done: uvicorn runs with limit_concurrency = 3. Two clients have each had an answer and keep their connection, idle. A
#   third sends a request; later one of the two goes, and it is sent again.
# Expected: nothing is at work, so the request is served.
# Seen: 503: open connections are counted, not requests, and the limit itself is not reached: the third of three is
#   refused. A balancer with warm connections shuts everybody else out, the health check too, while the server does
#   nothing. When one of the two has gone it is served.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages uvicorn==0.54.0

python - 2>/dev/null <<'PYTHON'
import http.client
import threading
import time

import uvicorn


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


settings = {"port": 0, "limit_concurrency": 3, "timeout_keep_alive": 60, "lifespan": "off", "log_level": "critical"}
server = uvicorn.Server(uvicorn.Config(application, **settings))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
host, port = server.servers[0].sockets[0].getsockname()


def ask(connection):
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    return answer.status


clients = [http.client.HTTPConnection(host, port, timeout=20) for _ in range(3)]
statuses = [ask(client) for client in clients]
clients.pop(0).close()
deadline = time.monotonic() + 10
while (later := ask(http.client.HTTPConnection(host, port, timeout=20))) != 200 and time.monotonic() < deadline:
    time.sleep(0.1)
server.should_exit = True
for client in clients:
    client.close()
thread.join()
assert (statuses, later) == ([200, 200, 503], 200), (statuses, later)
print("expected: of three clients with limit_concurrency = 3 each is served, as two are idle")
print(f"seen: {statuses}; {later} once one of them has closed its connection")
PYTHON
