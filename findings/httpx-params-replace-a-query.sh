#!/usr/bin/env bash
# httpx 0.28.1
#
# Done: a request's address has a query, and params are given besides: some, none ({}), and as the client's default.
# Expected: they are added to the query, as requests does; {} changes nothing.
# Seen: params replace the query, {} removes it, and a client's default params remove the query of every address that
#   it is given. A signature or a page token in an address is lost in silence.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages httpx==0.28.1 requests==2.34.2

python - <<'PYTHON'
import httpx
import requests

ADDRESS = "http://localhost/reports?token=abc"


def asked(client=None, **options):
    return str((client or httpx.Client()).build_request("GET", ADDRESS, **options).url).partition("?")[2]


added, emptied = asked(params={"page": 2}), asked(params={})
by_default = asked(httpx.Client(params={"limit": 50}))
by_requests = requests.Request("GET", ADDRESS, params={"page": 2}).prepare().url.partition("?")[2]

assert by_requests == "token=abc&page=2", by_requests
assert (added, emptied, by_default) == ("page=2", "", "limit=50"), (added, emptied, by_default)
print(f"expected: {by_requests}, as requests has it; and token=abc with params={{}}")
print(f"seen: {added}; with params={{}} nothing is left; with params of the client {by_default}")
PYTHON
