#!/usr/bin/env bash
# uvicorn 0.54.0
#
# Done: an ASGI application raises in its startup ("the database is away"), and is served with the default
#   lifespan = "auto", then with "on".
# Expected: a server whose application cannot start does not start.
# Seen: with "auto" any exception is taken to mean that the application knows no startup: it is served as if all were
#   well, and says nothing. With "on" the server ends. Frameworks that catch the error and report it are not affected.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages uvicorn==0.54.0

python - 2>"$work/uvicorn.log" <<'PYTHON'
import threading
import time
import urllib.request

import uvicorn


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("the database is away")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def outcome(lifespan):
    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan=lifespan, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    if not server.started:
        thread.join()
        return "does not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    status = urllib.request.urlopen(f"http://127.0.0.1:{port}/").status
    server.should_exit = True
    thread.join()
    return f"answers {status}"


seen = {lifespan: outcome(lifespan) for lifespan in ("auto", "on")}
assert seen == {"auto": "answers 200", "on": "does not start"}, seen
print("expected: a server whose application fails to start does not start")
print(f"seen: with lifespan = auto it {seen['auto']}, with on it {seen['on']}")
PYTHON
