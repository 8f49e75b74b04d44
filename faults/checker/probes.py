"""I10: `/health` stayed 200 in faults of the infrastructure; `/ready` was right within 5 s, and again 10 s after.

Invariant: a probe is judged by what was so from before it was sent until after it was answered.

    begin ──5 s──► says so ··········► restore ··(anything)··► heal ──10 s──► says ready

A service that was itself killed is excused until it has answered again, and no longer than 30 s from the restore on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from faults.checker.evidence import Evidence, Violation, found
from harness.journal import Fault, Probed

NOTICE_SECONDS = 5.0
RECOVER_SECONDS = 10.0
RESTART_SECONDS = 30.0
"""How long after the restore a service that was itself killed may take to answer and be ready, at most."""

Who: TypeAlias = tuple[str, str]
"""A service and a path: whom a probe asks, and what."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault from beginning to end; one that was never restored or healed goes on."""

    began: Fault
    restored_at: float
    healed_at: float
    back_at: Mapping[Who, float] = field(default_factory=dict)
    """When each was first asked after the restore and answered well; of a fault that killed somebody."""

    def hits(self, probe: Probed) -> bool:
        """Whether the fault, or its aftermath, has anything to do with a probe."""
        return self.began.at <= probe.at and probe.sent_at <= self.healed_at + RECOVER_SECONDS

    def killed(self, probe: Probed) -> bool:
        """Whether the one that is asked was itself down, or is not yet back."""
        at_last = self.restored_at + RESTART_SECONDS
        back_at = min(at_last, self.back_at.get((probe.service, probe.path), at_last))
        return probe.service in self.began.killed and self.began.at <= probe.at and probe.sent_at <= back_at


def violations(evidence: Evidence) -> list[Violation]:
    """Probes that were answered wrongly, or not at all."""
    probes = evidence.of(Probed)
    outages = _outages(evidence.of(Fault), probes)
    health = [probe for probe in probes if probe.path == "/health"]
    ready = [probe for probe in probes if probe.path == "/ready"]
    return [
        *found(
            "I10", "did not say that it is alive", {_words(probe) for probe in health if _is_unwell(probe, outages)}
        ),
        *found("I10", "did not say who is away", {_words(probe) for probe in ready if _is_blind(probe, outages)}),
        *found("I10", "did not say that it is ready", {_words(probe) for probe in ready if _is_late(probe, outages)}),
    ]


def _outages(faults: list[Fault], probes: list[Probed]) -> list[Outage]:
    """The faults by name: each `begin` with the first `restore` and `heal` after it."""
    answered: defaultdict[Who, list[float]] = defaultdict(list)
    for probe in probes:
        if _is_well(probe):
            answered[probe.service, probe.path].append(probe.sent_at)

    def after(begin: Fault, stage: str) -> float:
        times = [one.at for one in faults if one.name == begin.name and one.stage == stage and one.at >= begin.at]
        return min(times, default=float("inf"))

    def outage(begin: Fault) -> Outage:
        healed_at = after(begin, "heal")
        restored_at = min(after(begin, "restore"), healed_at)
        return Outage(begin, restored_at, healed_at, _first_after(restored_at, answered) if begin.killed else {})

    return [outage(begin) for begin in faults if begin.stage == "begin"]


def _first_after(moment: float, times: Mapping[Who, Sequence[float]]) -> dict[Who, float]:
    return {who: min((at for at in each if at >= moment), default=float("inf")) for who, each in times.items()}


def _is_unwell(probe: Probed, outages: list[Outage]) -> bool:
    return probe.status_code != 200 and not _was_killed(probe, outages)


def _is_blind(probe: Probed, outages: list[Outage]) -> bool:
    """Whether a dependency was away for long enough, for the whole of the probe, and the answer does not say so."""
    away = {
        dependency
        for outage in outages
        for dependency in outage.began.away
        if probe.service in outage.began.seen_by
        and outage.began.at + NOTICE_SECONDS <= probe.sent_at
        and probe.at <= outage.restored_at
    }
    if not away or _was_killed(probe, outages):
        return False
    if probe.status_code is None or any(probe.body.get(dependency) != "disconnected" for dependency in away):
        return True
    return (probe.status_code == 200) != (probe.service == "api" and "database" not in away)


def _is_late(probe: Probed, outages: list[Outage]) -> bool:
    """Whether nothing was wrong for long enough and the answer is not an unqualified yes."""
    if _was_killed(probe, outages):
        return False
    if any(_concerns(outage.began, probe.service) and outage.hits(probe) for outage in outages):
        return False
    return not _is_well(probe)


def _is_well(probe: Probed) -> bool:
    """Whether it says that it is alive, or that it is ready and nothing is away."""
    connected = (probe.body.get(dependency) == "connected" for dependency in ("database", "kafka"))
    return probe.status_code == 200 and (probe.path != "/ready" or all(connected))


def _concerns(fault: Fault, service: str) -> bool:
    return service in fault.troubled or bool(fault.away and service in fault.seen_by)


def _was_killed(probe: Probed, outages: list[Outage]) -> bool:
    return any(outage.killed(probe) for outage in outages)


def _words(probe: Probed) -> str:
    said = "nothing" if probe.status_code is None else f"{probe.status_code} {dict(probe.body)}"
    return f"{probe.service} {probe.path} at {probe.sent_at:.1f}: {said}"
