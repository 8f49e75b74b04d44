"""What the rows of crowds, floods and rude clients demand can fail."""

import socket
import struct
import threading
import time
from collections import Counter
from typing import Any

import pytest

from faults.scenario import NotRun
from faults.scenarios import overload, rude_clients
from harness.crowd import Seen
from harness.waiting import eventually
from tests.tool.running import a_run, unmet
from tests.tool.scripted import FULL, HEALTHY, INVALID, LATE, Scripted


def test_flooder_goes_on_when_there_is_no_room_for_a_while() -> None:
    script = iter([FULL, FULL])
    flooder, over = overload.Flooder(), threading.Event()
    with Scripted(lambda _: next(script, INVALID)) as full:
        work = full.port, b"POST / HTTP/1.1\r\n\r\n", over
        flooding = threading.Thread(target=flooder.flood, args=work, daemon=True)
        flooding.start()
        eventually(lambda: flooder.refused >= 5, 5)
        over.set()
        flooding.join(5)

    assert (flooder.full, flooder.ended) == (2, "")


@pytest.mark.parametrize(("answer", "requests"), [(HEALTHY, 9), (INVALID, 3), (b"", 1)])
def test_flooder_that_cannot_go_on_says_why(answer: bytes, requests: int) -> None:
    flooder = overload.Flooder()
    with Scripted(lambda _: answer, requests=requests) as unwilling:
        flooder.flood(unwilling.port, b"POST / HTTP/1.1\r\n\r\n", threading.Event())

    assert flooder.ended
    assert unmet(lambda run: overload._demand_flood(run, [overload.Flooder(refused=10_000), flooder], 10.0)) == [
        f"1 of {overload.FLOODERS} flooders ended: {[flooder.ended]}"
    ]


def test_few_refusals_make_no_flood() -> None:
    assert unmet(lambda run: overload._demand_flood(run, [overload.Flooder(refused=990)], 10.0)) == [
        "only 99 requests of the flood were refused a second"
    ]


def seen(**changes: Any) -> Seen:
    """What a crowd saw that was treated as it should be, at 400 a second, but for the changes."""
    well: dict[str, Any] = {
        "connections": 64,
        "offered_a_second": 200.0,
        "not_sent": 2_000,
        "accepted": 1_000,
        "in_doubt": 0,
        "accepted_a_second": 100.0,
        "refused_a_second": 100.0,
        "lost": 0,
        "other": 0,
        "accepted_p50_seconds": 0.1,
        "accepted_p99_seconds": 0.2,
        "refused_p50_seconds": 0.01,
        "retry_after_seconds": [1, 2],
        "probes": 400,
        "probes_wrong": 0,
        "probe_p99_seconds": 0.1,
        "client_cores": 0.1,
    }
    return Seen(**{**well, **changes})


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"probes": 2}, ["2 of 400 probes were answered with 200"]),
        ({"probes_wrong": 1}, ["1 probes were cut or answered otherwise than with 200"]),
        ({"probe_p99_seconds": 9.0}, ["one /health or /ready in a hundred took 9.00 s"]),
        ({"lost": 1}, ["1 connections were refused or cut, though there was room for all"]),
        ({"not_sent": 0}, ["only 200 posts a second came due, not 400"]),
        ({"offered_a_second": 105.0, "not_sent": 2_950}, ["only 1.05 times the peak was offered"]),
    ],
)
def test_crowd_that_was_treated_otherwise_than_promised_is_a_violation(
    changes: dict[str, Any], wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowds = iter([seen(**changes), seen()])
    monkeypatch.setattr(overload, "crowd", lambda *_: next(crowds))
    monkeypatch.setattr(overload, "_need_room_for", lambda *_: None)

    assert unmet(lambda run: overload._demand_as_at_the_peak(run, seen(), 64, 400.0)) == wrong


@pytest.mark.parametrize(
    ("accepted", "wrong"), [([60, 100, 95], []), ([60, 80, 95], ["goodput fell to 80% of its peak"]), ([90], [])]
)
def test_goodput_that_is_too_low_is_that_of_the_middle_one_of_three_windows(
    accepted: list[int], wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowds = iter([each for one in accepted for each in (seen(accepted_a_second=float(one)), seen())])
    monkeypatch.setattr(overload, "crowd", lambda *_: next(crowds))
    monkeypatch.setattr(overload, "_need_room_for", lambda *_: None)

    assert unmet(lambda run: overload._demand_as_at_the_peak(run, seen(), 64)) == wrong
    assert next(crowds, None) is None


def test_more_connections_than_the_api_has_room_for_prove_nothing() -> None:
    run = a_run()
    run.system.metric = lambda *_: 5_121.0  # type: ignore[method-assign]

    with pytest.raises(NotRun, match="ulimit"):
        overload._need_room_for(run, 5_120)


def _status(said: bytes, *, cut: bool = False) -> str:
    """What a client takes for its answer when this comes and the connection ends."""
    ours, theirs = socket.socketpair() if not cut else _connected()
    with ours:
        theirs.sendall(said)
        if cut:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        return rude_clients._answer(ours, time.monotonic() + 5)


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        return ours, listening.accept()[0]


def test_client_that_is_hung_up_on_or_cut_was_not_answered() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        nothing = rude_clients._answer(ours, time.monotonic())

    assert [_status(LATE), _status(b""), _status(b"", cut=True), nothing] == ["408", "hung up", "cut", "nothing"]


@pytest.mark.parametrize("answers", [{}, {"431": 1_000}, {"408": 999, "hung up": 1}])
def test_clients_that_were_not_all_answered_as_promised_are_a_violation(answers: dict[str, int]) -> None:
    assert unmet(lambda run: rude_clients._demand_answers(run, Counter(answers), "408"))
    assert not unmet(lambda run: rude_clients._demand_answers(run, Counter({"408": 1_000}), "408"))
