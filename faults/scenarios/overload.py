"""More than there is room for: too many apps, and refusals by the thousand.

Invariant: what is demanded is a ratio to the same run's own peak, since this machine carries the crowd as well; every
post of a crowd is in the journal, so that the checker judges all of them.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from faults.plan import SHORT
from faults.scenario import Run, scenario
from faults.scenarios.rude_clients import ROW, memory_bounded, normal_again
from faults.systems import CHECKOUT
from harness.crowd import Seen, Sent
from harness.journal import Answered, Entry, Sending
from harness.waiting import eventually

CAPACITIES: Final = (64, 128, 256)
"""Connections of which one has the peak; each run looks which."""
OPEN_CONNECTIONS: Final = 1_024
"""Over which posts come that wait for no answer, as from a balancer's pool."""
SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 115.0
"""How much longer than it posts a crowd may take."""
GOODPUT: Final = 0.9
"""Of the peak, which must be left under any load."""
BESIDE_A_FLOOD: Final = 0.7
"""The same beside a flood of requests that break a rule: each is read whole and answered, and costs what that costs."""
ACCEPTED_SECONDS: Final = 1.0
"""Promised for what is accepted, one in a hundred left out; on a busy machine as many times longer as at the peak."""
PEAK_P99_SECONDS: Final = 0.25
REFUSED_SECONDS: Final = 2.5
"""In an open loop half of the refusals come sooner: two seconds, and the way."""
FLOODERS: Final = 8
NO_PAN: Final = b'{"pan_number": "abcde1234f"}'


@dataclass(frozen=True)
class Crowd:
    """A crowd that posts, in a process of its own, and the file of what became of each post."""

    process: "subprocess.Popen[str]"
    file: Path
    seconds: float


def crowd(run: Run, connections: int, *rate: float) -> Seen:
    """Let a crowd post, and write down what became of each post; what it saw. Demand that no refusal was a lie."""
    before = _committed(run)
    seen = ended(run, begun(run, connections, SECONDS, *rate))
    eventually(lambda: run.system.metric("api", "http_requests_in_progress") <= 1)  # the one that asks
    denied = _committed(run) - before - seen.accepted
    run.demand(denied <= seen.in_doubt, f"{denied - seen.in_doubt} applications were committed and refused in time")
    return seen


def peak_of(run: Run) -> Seen:
    """The crowd of which most are accepted."""
    return max((crowd(run, each) for each in CAPACITIES), key=lambda seen: seen.accepted_a_second)


def _committed(run: Run) -> int:
    count: int = run.system.database.value("SELECT count(*) FROM applications")
    return count


def begun(run: Run, connections: int, seconds: float, *rate: float) -> Crowd:
    """Let a crowd begin to post, in a closed loop or so many times a second."""
    file = run.system.folder.parent / f"crowd-{run.scenario.name}-{run.seed}.jsonl"
    argv = map(str, (run.system.ports["api"], connections, seconds, file, *rate))
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.crowd", *argv],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
    )
    return Crowd(process, file, seconds)


def ended(run: Run, crowd: Crowd) -> Seen:
    """Wait for the crowd's end, and write down what became of each post; what it saw."""
    said, _ = crowd.process.communicate(timeout=crowd.seconds + PATIENCE_SECONDS)
    if crowd.process.returncode:
        raise subprocess.CalledProcessError(crowd.process.returncode, "harness.crowd")
    run.journal.note(*_entries(run, crowd.file))
    crowd.file.unlink()
    seen = Seen(**json.loads(said))
    _say(run, seen)
    return seen


def _entries(run: Run, file: Path) -> Iterator[Entry]:
    for line in file.read_text(encoding="utf-8").splitlines():
        sent = Sent(*json.loads(line))
        number = next(run.numbers)
        yield Sending(number, sent.at, sent.body)
        if sent.status is not None and sent.answered_at is not None:
            said: dict[str, Any] = json.loads(sent.answer)
            application_id = said.get("application_id") if sent.status == 202 else None
            yield Answered(number, sent.answered_at, sent.status, sent.answer, application_id)


def _say(run: Run, seen: Seen) -> None:
    print(
        f"    {run.scenario.name}: {seen.connections} connections, {seen.offered_a_second:.0f}/s offered,"
        f" {seen.accepted_a_second:.0f}/s accepted (p99 {seen.accepted_p99_seconds:.2f} s),"
        f" {seen.refused_a_second:.0f}/s refused (p50 {seen.refused_p50_seconds * 1000:.0f} ms),"
        f" probes p99 {seen.probe_p99_seconds * 1000:.0f} ms, lost {seen.lost};"
        f" the crowd itself took {seen.client_cores:.2f} cores",
        flush=True,
    )


def _demand_as_at_the_peak(run: Run, peak: Seen, connections: int, *rate: float) -> None:
    """Let more come than there is room for. Goodput, times and refusals, as ratios to the peak before or after."""
    seen = crowd(run, connections, *rate)
    before_and_after = (peak, crowd(run, peak.connections))
    share = seen.accepted_a_second / min(each.accepted_a_second for each in before_and_after)
    slower = max(1.0, *(each.accepted_p99_seconds / PEAK_P99_SECONDS for each in before_and_after))
    print(f"    {run.scenario.name}: {share:.0%} of the peak, at {peak.connections} connections", flush=True)
    run.demand(share >= GOODPUT, f"goodput fell to {share:.0%} of its peak")
    _demand_in_time(run, slower, seen)
    within = REFUSED_SECONDS * slower if rate else max(0.05, peak.accepted_p50_seconds)
    took = seen.refused_p50_seconds
    run.demand(took <= within, f"a refusal took {took * 1000:.0f} ms")
    spread = len(seen.retry_after_seconds) > 1 or not seen.refused_a_second
    run.demand(spread, f"all refusals ask for the same wait: {seen.retry_after_seconds}")
    run.demand(seen.other == 0, f"{seen.other} answers were neither 202 nor 503")


def _demand_in_time(run: Run, slower: float, seen: Seen) -> None:
    p99 = seen.accepted_p99_seconds
    run.demand(p99 < ACCEPTED_SECONDS * slower, f"one in a hundred that was accepted waited for {p99:.2f} s")
    probe = seen.probe_p99_seconds
    run.demand(probe < ACCEPTED_SECONDS * slower, f"one /health or /ready in a hundred took {probe:.2f} s")


def closed(times: int) -> Callable[[Run], None]:
    """So many times as many apps as make the peak, each of which waits for its answer."""

    def act(run: Run) -> None:
        peak = peak_of(run)
        _demand_as_at_the_peak(run, peak, peak.connections * times)
        normal_again(run)

    return act


@scenario(ROW, "four-times-the-rate", volume=SHORT, own_system=True, takes_minutes=True)
def four_times_the_rate(run: Run) -> None:
    """Four times as many posts a second as are accepted at the peak come, whatever they are answered."""
    peak = peak_of(run)
    _demand_as_at_the_peak(run, peak, OPEN_CONNECTIONS, 4 * peak.accepted_a_second)
    normal_again(run)


scenario(ROW, "four-times-as-many-apps", volume=SHORT, own_system=True, takes_minutes=True)(closed(4))
scenario(ROW, "twenty-times-as-many-apps", volume=SHORT, own_system=True, takes_minutes=True)(closed(20))


@scenario(ROW, "flood-of-refused", volume=SHORT, own_system=True, takes_minutes=True)
def refused(run: Run) -> None:
    """Requests that break a rule come from a few connections as fast as they are answered, beside the apps."""
    peak = peak_of(run)
    body = b"POST /applications HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    with memory_bounded(run), _flood(run, body % (len(NO_PAN), NO_PAN)) as count:
        seen = crowd(run, peak.connections)
    before_and_after = (peak, crowd(run, peak.connections))
    share = seen.accepted_a_second / min(each.accepted_a_second for each in before_and_after)
    slower = max(1.0, *(each.accepted_p99_seconds / PEAK_P99_SECONDS for each in before_and_after))
    print(f"    {run.scenario.name}: {share:.0%} of the peak, at {peak.connections} connections", flush=True)
    run.demand(count[0] > 0, "nothing was refused")
    run.demand(seen.lost + seen.other == 0, f"{seen.lost} posts beside the flood were lost, {seen.other} refused")
    run.demand(share >= BESIDE_A_FLOOD, f"goodput fell to {share:.0%} of its peak beside the flood")
    _demand_in_time(run, slower, seen)
    normal_again(run)


@contextmanager
def _flood(run: Run, request: bytes) -> Iterator[list[int]]:
    """Send it again and again from a few connections, each time when it was answered; how often it was, nearly."""
    count, over = [0], threading.Event()

    def flood() -> None:
        with socket.create_connection(("127.0.0.1", run.system.ports["api"])) as line:
            while not over.is_set():
                line.sendall(request)
                if not line.recv(65_536).startswith(b"HTTP/1.1 422"):
                    return
                count[0] += 1

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(FLOODERS)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
