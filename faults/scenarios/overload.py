"""More than there is room for: too many apps, and refusals by the thousand.

Invariant: what is demanded is a ratio to the same run's own peak, since this machine carries the crowd as well; every
post of a crowd is in the journal, so that the checker judges all of them.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from faults.plan import SHORT
from faults.scenario import NotRun, Run, scenario
from faults.scenarios.rude_clients import ROW, memory_bounded, normal_again
from faults.systems import CHECKOUT, that_refuses_soon
from harness.crowd import Seen, Sent
from harness.journal import Answered, Entry, Sending
from harness.probing import PATHS, expected
from harness.waiting import eventually

CAPACITIES: Final = (64, 128, 256)
"""Connections of which one has the peak; each run looks which."""
OPEN_CONNECTIONS: Final = 4_096
"""Over which posts come that wait for no answer, as from a balancer's pool. Twice as many carried 3 % more of them."""
SECONDS: Final = 10.0
WINDOWS: Final = 3
"""In which a goodput is measured that was too low in the first."""
PATIENCE_SECONDS: Final = 115.0
"""How much longer than it posts a crowd may take."""
GOODPUT: Final = 0.9
"""Of the peak, which must be left under any load."""
BESIDE_A_FLOOD: Final = 0.7
"""The same beside a flood of requests that break a rule: each is read whole and answered, and costs what that costs."""
ACCEPTED_SECONDS: Final = 1.0
"""Promised for what is accepted, one in a hundred left out; on a busy machine as many times longer as at the peak."""
PEAK_P99_SECONDS: Final = 0.25
DUE: Final = 0.9
"""Of the posts that are to come due in an open loop: so many must, or the crowd itself has no time."""
OFFERED: Final = 1.1
"""Times the peak: so many posts a second must be sent in an open loop, so that one in eleven has to be refused."""
PROBED: Final = 0.9
"""Of the probes that come due: so many must be answered with 200."""
REFUSED_SECONDS: Final = 3.5
"""In an open loop half of the refusals come sooner: three seconds, and the way."""
FLOODERS: Final = 8
FLOOD_A_SECOND: Final = 100
"""Requests of the flood that must be refused a second, at least."""
FULL_SECONDS: Final = 0.05
"""After which a flooder that was answered 503 goes on."""
FLOODER_SECONDS: Final = 10.0
"""Within which a flooder is answered."""
NO_PAN: Final = b'{"pan_number": "abcde1234f"}'


@dataclass(frozen=True)
class CrowdProcess:
    """A crowd that posts, in a process of its own, and the file of what became of each post."""

    process: "subprocess.Popen[str]"
    file: Path
    seconds: float


def crowd(run: Run, connections: int, *rate: float) -> Seen:
    """Let a crowd post, and write down what became of each post; what it saw. Demand that no refusal was a lie."""
    for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):  # either takes a sixth of what is accepted meanwhile
        run.system.database.execute(statement)
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


def begun(run: Run, connections: int, seconds: float, *rate: float) -> CrowdProcess:
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
    return CrowdProcess(process, file, seconds)


def ended(run: Run, crowd: CrowdProcess) -> Seen:
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
        f"    {run.scenario.name}: {seen.connections} connections, {seen.offered_a_second:.0f}/s offered"
        f" ({seen.not_sent} not sent),"
        f" {seen.accepted_a_second:.0f}/s accepted (p99 {seen.accepted_p99_seconds:.2f} s),"
        f" {seen.refused_a_second:.0f}/s refused (p50 {seen.refused_p50_seconds * 1000:.0f} ms),"
        f" {seen.probes} probes (p99 {seen.probe_p99_seconds * 1000:.0f} ms, {seen.probes_wrong} wrong),"
        f" lost {seen.lost}; the crowd itself took {seen.client_cores:.2f} cores",
        flush=True,
    )


def _demand_as_at_the_peak(run: Run, peak: Seen, connections: int, *rate: float) -> Seen:
    """Let more come than there is room for. Goodput, times and refusals, as ratios to the peak before and after.

    A window whose goodput is too low is followed by two more, and the middle one of the three counts: what is accepted
    at the peak itself differs by a tenth from one window to the next.

    Returns the last peak.
    """
    _need_room_for(run, connections)
    shares = []
    for _ in range(WINDOWS):
        share, peak = _demand_in_a_window(run, peak, connections, *rate)
        shares.append(share)
        if shares[0] >= GOODPUT:
            break
    share = statistics.median(shares)
    run.demand(share >= GOODPUT, f"goodput fell to {share:.0%} of its peak")
    return peak


def _demand_in_a_window(run: Run, peak: Seen, connections: int, *rate: float) -> tuple[float, Seen]:
    """Everything but the goodput, which is returned as a share of the lesser peak, with the peak after it."""
    seen = crowd(run, connections, *rate)
    after = crowd(run, peak.connections)
    share, slower = _compared(run, seen, peak, after)
    _demand_in_time(run, slower, seen)
    run.demand(seen.lost == 0, f"{seen.lost} connections were refused or cut, though there was room for all")
    within = REFUSED_SECONDS * slower if rate else max(0.05, peak.accepted_p50_seconds)
    took = seen.refused_p50_seconds
    run.demand(took <= within, f"a refusal took {took * 1000:.0f} ms")
    spread = len(seen.retry_after_seconds) > 1 or not seen.refused_a_second
    run.demand(spread, f"all refusals ask for the same wait: {seen.retry_after_seconds}")
    run.demand(seen.other == 0, f"{seen.other} answers were neither 202 nor 503")
    if rate:
        _demand_offered(run, seen, min(peak.accepted_a_second, after.accepted_a_second), *rate)
    return share, after


def _compared(run: Run, seen: Seen, *peaks: Seen) -> tuple[float, float]:
    """What was accepted as a share of the lesser peak, and how much slower than a quiet machine the slower one was."""
    share = seen.accepted_a_second / min(each.accepted_a_second for each in peaks)
    slower = max(1.0, *(each.accepted_p99_seconds / PEAK_P99_SECONDS for each in peaks))
    print(f"    {run.scenario.name}: {share:.0%} of the peak, at {peaks[0].connections} connections", flush=True)
    return share, slower


def _need_room_for(run: Run, connections: int) -> None:
    """Raises `NotRun` where the API may not open a descriptor for each, and for the two that probe."""
    limit = run.system.metric("api", "http_connections_limit")
    if limit < connections + len(PATHS):
        raise NotRun(f"the API has room for {limit:.0f} connections, not for {connections}: raise `ulimit -n`")


def _demand_offered(run: Run, seen: Seen, peak: float, rate: float) -> None:
    """Demand that the crowd kept its pace, and that more came than are accepted a second at the peak."""
    due = seen.offered_a_second + seen.not_sent / SECONDS
    run.demand(due >= DUE * rate, f"only {due:.0f} posts a second came due, not {rate:.0f}")
    times = seen.offered_a_second / peak
    run.demand(times >= OFFERED, f"only {times:.2f} times the peak was offered")


def _demand_in_time(run: Run, slower: float, seen: Seen) -> None:
    p99 = seen.accepted_p99_seconds
    run.demand(p99 < ACCEPTED_SECONDS * slower, f"one in a hundred that was accepted waited for {p99:.2f} s")
    due = expected(SECONDS)
    run.demand(seen.probes >= PROBED * due, f"{seen.probes} of {due:.0f} probes were answered with 200")
    run.demand(seen.probes_wrong == 0, f"{seen.probes_wrong} probes were cut or answered otherwise than with 200")
    probe = seen.probe_p99_seconds
    run.demand(probe < ACCEPTED_SECONDS * slower, f"one /health or /ready in a hundred took {probe:.2f} s")


@scenario(ROW, "too-many-apps", volume=SHORT, own_system=True, opens=that_refuses_soon, takes_minutes=True)
def too_many_apps(run: Run) -> None:
    """A flood beside the peak; four and twenty times as many apps, each of which waits; four times the peak's rate.

    At that rate posts come due whatever is answered. Over each connection one is on its way, and what comes due while
    none is idle is not sent: no client could send all of it, because the API makes those wait whom it refuses. Over
    4,096 connections 2.2 times the peak was offered, over 7,900 2.3 times, by a crowd that took 0.15 of a core.

    Each is compared with the peak before it and the peak after it.
    """
    for statement in ("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"):  # each window begins with one
        run.system.database.execute(statement)
    peak = _demand_beside_a_flood(run, peak_of(run))
    for times in (4, 20):
        peak = _demand_as_at_the_peak(run, peak, peak.connections * times)
    _demand_as_at_the_peak(run, peak, OPEN_CONNECTIONS, 4 * peak.accepted_a_second)
    normal_again(run)


def _demand_beside_a_flood(run: Run, peak: Seen) -> Seen:
    """Requests that break a rule come from a few connections as fast as they are answered, beside the apps.

    Returns the peak after it.
    """
    body = b"POST /applications HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    with memory_bounded(run), _flood(run, body % (len(NO_PAN), NO_PAN)) as flooders:
        began = time.monotonic()
        seen = crowd(run, peak.connections)
        _demand_flood(run, flooders, time.monotonic() - began)
    after = crowd(run, peak.connections)
    share, slower = _compared(run, seen, peak, after)
    run.demand(seen.lost + seen.other == 0, f"{seen.lost} posts beside the flood were lost, {seen.other} refused")
    run.demand(share >= BESIDE_A_FLOOD, f"goodput fell to {share:.0%} of its peak beside the flood")
    _demand_in_time(run, slower, seen)
    return after


@dataclass
class Flooder:
    """One connection of a flood: how often it was refused, and how it ended, if it did before it was to."""

    refused: int = 0
    full: int = 0
    """How often there was no room even for a refusal."""
    ended: str = ""

    def flood(self, port: int, request: bytes, over: threading.Event) -> None:
        """Send it again and again, each time when it was answered."""
        try:
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.settimeout(FLOODER_SECONDS)
                while not over.is_set():
                    line.sendall(request)
                    self._note(line.recv(65_536))
        except (OSError, EOFError) as failure:
            self.ended = f"{type(failure).__name__}: {failure}"

    def _note(self, answer: bytes) -> None:
        """Raises EOFError where the flood cannot go on."""
        match answer[9:12]:
            case b"422":
                self.refused += 1
            case b"503":
                self.full += 1
                time.sleep(FULL_SECONDS)
            case _:
                raise EOFError(f"answered {answer[:40]!r}")


@contextmanager
def _flood(run: Run, request: bytes) -> Iterator[list[Flooder]]:
    """Requests come from a few connections for as long as the block."""
    over, flooders = threading.Event(), [Flooder() for _ in range(FLOODERS)]
    work = run.system.ports["api"], request, over
    threads = [threading.Thread(target=each.flood, args=work, daemon=True) for each in flooders]
    for thread in threads:
        thread.start()
    try:
        yield flooders
    finally:
        over.set()
        for thread in threads:
            thread.join(FLOODER_SECONDS)


def _demand_flood(run: Run, flooders: list[Flooder], seconds: float) -> None:
    """Demand that each flooder is still at work, and that as many were refused as make a flood."""
    refused = sum(each.refused for each in flooders) / seconds
    full = sum(each.full for each in flooders)
    print(f"    {run.scenario.name}: {refused:.0f}/s of the flood were refused, {full} had no room", flush=True)
    ended = [each.ended for each in flooders if each.ended]
    run.demand(not ended, f"{len(ended)} of {FLOODERS} flooders ended: {ended[:3]}")
    run.demand(refused >= FLOOD_A_SECOND, f"only {refused:.0f} requests of the flood were refused a second")
