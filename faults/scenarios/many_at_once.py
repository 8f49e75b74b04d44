"""Many at once: one PAN or one key from fifty sides, and more posts than the API has room for.

Invariant: who is turned away learns when to come again, and nobody waits without end.
"""

import itertools
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Final

from faults.load import AGAIN, Seen
from faults.plan import Post, Volume, plan
from faults.scenario import Run, scenario
from faults.systems import PROMPT

AT_ONCE: Final = 50
FLOOD: Final = 200
SLOW_CLIENTS: Final = 50
TIGHT: Final = {"DATABASE_POOL_SIZE": "1", "WAITING_MAX": "40", "WRITE_BATCH_MAX": "8", **PROMPT}
P99_SECONDS: Final = 5.0
UNHURRIED: Final = (
    b"POST /applications HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{"
)
BODY_SECONDS: Final = 10.0
"""Within which a body must have come."""


@scenario(18, "one-pan-fifty-at-once")
def one_pan(run: Run) -> None:
    """Fifty apps post one PAN in one moment, each with a key of its own."""
    run.load()
    run.some_moment()
    posts = _posts(run)
    run.send([Post(0.0, posts[0].body, post.key) for post in posts])
    run.sent()
    seen = _answers_to(run, posts[0].body["pan_number"])
    others = {each.error_code for each in seen if each.status != 202}
    run.demand(others == {"DUPLICATE_APPLICATION"}, f"the others were answered {others}")
    run.come_to_rest()
    accepted = run.system.database.rows(
        "SELECT id, status, updated_at FROM applications WHERE id = ANY (%s::uuid[]) ORDER BY created_at",
        [each.application_id for each in seen if each.status == 202],
    )
    run.demand(accepted, "nobody was accepted")
    # Who is rejected may apply again at once, and some of the fifty come late enough for that: by when they were
    # answered, for a transaction begins, and is dated, before it looks whether the PAN is free.
    answered_at = {each.application_id: each.at for each in seen}
    for first, next_ in itertools.pairwise(accepted):
        free = first["status"] == "REJECTED" and first["updated_at"].timestamp() <= answered_at[str(next_["id"])]
        run.demand(free, "an application was accepted beside another of the same PAN")


@scenario(18, "one-key-fifty-at-once")
def one_key(run: Run) -> None:
    """One app posts the same fifty times in one moment, with one key."""
    run.load()
    run.some_moment()
    post = _posts(run)[0]
    run.send([post] * AT_ONCE)
    run.sent()
    accepted = [each for each in _answers_to(run, post.body["pan_number"]) if each.status == 202]
    ids = {each.application_id for each in accepted}
    run.demand(len(accepted) == AT_ONCE, f"only {len(accepted)} of {AT_ONCE} got the answer in the end")
    run.demand(len(ids) == 1, f"{len(ids)} applications came of one key")
    run.demand(sum(not each.replayed for each in accepted) == 1, "not exactly one answer was the first")
    run.come_to_rest()


@scenario(23, "two-hundred-at-once", outage=(1.5, 1.5))
def two_hundred(run: Run) -> None:
    """More posts than the API has room for while the table is locked, clients that never finish, and a pool of one."""
    run.system.restart("api", **TIGHT)
    run.load()
    run.some_moment()
    with ExitStack() as lines:
        slow = [lines.enter_context(_unhurried(run.system.ports["api"])) for _ in range(SLOW_CLIENTS)]
        hung_on_at = time.monotonic()
        with run.fault(), _table_locked(run):
            run.send(_posts(run, FLOOD))
            looks = _looks_in_the_background(run)
            run.wait(run.outage_seconds)
        run.sent()
        _turned_away_with_a_word(run)
        found = {look.result(P99_SECONDS * 2) for look in looks}
        run.demand(found <= {200, 503}, f"who looked was answered {found}")
        _let_go(run, slow, hung_on_at)
    run.come_to_rest()
    run.system.restart("api")


@contextmanager
def _table_locked(run: Run) -> Iterator[None]:
    """Everybody who wants to write an application, or to read one, waits."""
    with run.system.database.connect() as connection:
        connection.execute("LOCK TABLE applications IN ACCESS EXCLUSIVE MODE")
        yield


def _looks_in_the_background(run: Run) -> list[Future[int]]:
    threads = ThreadPoolExecutor(AT_ONCE)
    accepted = list(run.seen.accepted)[:AT_ONCE]
    looks = [
        threads.submit(lambda one: run.system.get("api", f"/applications/{one}/status").status_code, each)
        for each in accepted
    ]
    threads.shutdown(wait=False)
    return looks


def _turned_away_with_a_word(run: Run) -> None:
    full = [each for each in run.seen.answers if each.status == 503]
    run.demand(full, "there was room for everybody")
    run.demand(all(each.retry_after for each in full), "a 503 did not say when to come again")
    run.demand(not run.seen.lost, f"posts without an answer: {run.seen.lost[:3]}")
    seconds = sorted(each.seconds for each in run.seen.answers if each.status != 503)
    p99 = seconds[int(len(seconds) * 0.99)]
    run.demand(p99 < P99_SECONDS, f"p99 of those who were not turned away is {p99:.1f} s")


def _let_go(run: Run, slow: list[socket.socket], hung_on_at: float) -> None:
    """Who does not finish its body gets 408 within the bound, if there was room for its head, and holds nobody up."""
    answers = []
    for line in slow:
        line.settimeout(max(0.1, hung_on_at + BODY_SECONDS + 5 - time.monotonic()))
        try:
            answers.append(line.recv(64)[9:12])
        except OSError:
            answers.append(b"")
    run.demand(b"408" in answers and {b"408", b"503"} >= set(answers), f"slow clients were answered {set(answers)}")


def _unhurried(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(UNHURRIED)
    return line


def _posts(run: Run, count: int = AT_ONCE) -> list[Post]:
    """So many applications of different people, all with keys, to be posted at once."""
    drawn = plan(f"{run.scenario.name}/{run.seed}/crowd", Volume(count * 2, 1))
    keyed = {post.key: Post(0.0, post.body, post.key) for post in drawn if post.key and post.kind == "fresh"}
    return list(keyed.values())[:count]


def _answers_to(run: Run, pan: str) -> list[Seen]:
    """The last word on each post with this PAN: those that were to come again have done so."""
    return [each for each in run.seen.answers if each.post.body["pan_number"] == pan and each.error_code not in AGAIN]
