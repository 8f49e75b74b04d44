"""`prequal bureau`, the command: it answers the published PANs as docs/sandbox.md says."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.oracle import PUBLISHED
from harness.ports import free_port
from harness.waiting import eventually

SCORES = {pan: score for pan, score in PUBLISHED.items() if score is not None}
NO_FILE, SLOW, FAILS_TWICE, AWAY = "SANDB0404F", "SANDB2000G", "SANDB0502J", "SANDB0503H"


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the command in a process of its own, which has no other setting than its port."""
    port, folder = free_port(), tmp_path_factory.mktemp("bureau")
    process = start(port, folder)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        try:
            eventually(lambda: is_healthy(client))
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    assert code == 0, (folder / "log").read_text()


def start(port: int, folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prequal", "bureau"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HTTP_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def is_healthy(client: httpx.Client) -> bool:
    with suppress(httpx.HTTPError):
        return client.get("/health").is_success
    return False


def asked(client: httpx.Client, pan: str, request_id: str = "1") -> tuple[int, Any]:
    """The status, and of an answer with 200 what it says beside the request's id."""
    answer = client.post("/reports", json={"request_id": request_id, "pan": pan})
    body = answer.json()
    if answer.is_success:
        assert body.pop("request_id") == request_id
    return answer.status_code, body if answer.is_success else None


def test_published_pans_have_their_published_scores(bureau: httpx.Client) -> None:
    answers = {pan: asked(bureau, pan) for pan in SCORES}

    assert answers == {pan: (200, {"outcome": "SCORE", "score": score}) for pan, score in SCORES.items()}


def test_person_without_a_file_has_no_score(bureau: httpx.Client) -> None:
    assert asked(bureau, NO_FILE) == (200, {"outcome": "NO_FILE", "score": None})


def test_other_pan_has_one_score_near_650_at_every_request(bureau: httpx.Client) -> None:
    answers = [asked(bureau, "BNZPM2501F", request_id) for request_id in ("a", "b")]

    assert answers[0] == answers[1]
    assert 645 <= answers[0][1]["score"] <= 655


def test_slow_answer_comes_after_two_seconds_and_holds_nobody_else_up(bureau: httpx.Client) -> None:
    began = time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(asked, bureau, SLOW)
        others = [asked(bureau, "ABCDE1234F") for _ in range(3)]
        came_first = not slow.done()
        late = slow.result()

    assert came_first
    assert time.monotonic() - began >= 2
    assert [status for status, _ in (*others, late)] == [200] * 4


def test_one_pan_fails_twice_for_each_request_and_is_then_answered(bureau: httpx.Client) -> None:
    answers = [asked(bureau, FAILS_TWICE, request_id) for request_id in ("a", "a", "b", "a", "a", "b", "b")]

    assert [status for status, _ in answers] == [503, 503, 503, 200, 200, 503, 200]
    assert answers[3] == answers[4] == answers[6]


def test_one_pan_is_never_answered_but_with_503(bureau: httpx.Client) -> None:
    assert [asked(bureau, AWAY) for _ in range(5)] == [(503, None)] * 5
