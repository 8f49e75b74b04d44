"""A candidate beside the policy in force: it decides the same applications, and its differences are counted and kept.

Invariant: it changes no decision, and no batch waits for it: what it found is written by the task that looks.
"""

import functools
from collections.abc import Container, Iterable
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from prequal.decision.queries import PendingDecision
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.policy import Policy
from prequal.policy_versions import queries, shadow_queries
from prequal.policy_versions.life import Conflict, loaded
from prequal.policy_versions.shadow_queries import Difference, NamedShadow
from prequal.postgres.connections import Connection
from prequal.telemetry import metrics

log = structlog.get_logger()

KEPT_MAX: Final = 20_000
"""So many differences wait for their writing; those beyond are counted by the metric alone."""

_FACTS: Final = len(Facts._fields)


class Shadow:
    """The candidate, if there is one, and the differences that are not written yet."""

    def __init__(self) -> None:
        self.candidate: Policy | None = None
        self._named: NamedShadow | None = None
        self._differences: list[Difference] = []

    def observe(self, decided: Iterable[PendingDecision], moved: Container[UUID]) -> None:
        """Decide again, by the candidate, those of a batch that were decided now."""
        if (candidate := self.candidate) is None:
            return
        for pending in decided:
            if pending.event.application_id not in moved:
                continue
            live, other = pending.decision, candidate.decide(Facts._make(pending.decision.values[:_FACTS]))
            status, outcome = live.status.value, other.status.value
            _series(status, outcome).inc()
            if status != outcome and len(self._differences) < KEPT_MAX:
                self._differences.append(
                    Difference(
                        pending.event.application_id, candidate.version, candidate.digest,
                        live.policy.version, status, live.code, outcome, other.code,
                    )
                )  # fmt: skip

    async def look(self, connection: Connection) -> None:
        """Take over which version is the shadow, and write what was found."""
        await self.write(connection)
        named = await shadow_queries.shadow(connection)
        if named != self._named:
            await self._take_over(connection, named)

    async def write(self, connection: Connection) -> None:
        """Write what was found; what could not be written is written the next time."""
        if not self._differences:
            return
        found, self._differences = self._differences, []
        try:
            await shadow_queries.insert_differences(connection, found)
        except BaseException:
            self._differences = found + self._differences
            raise

    async def _take_over(self, connection: Connection, named: NamedShadow | None) -> None:
        self.candidate = None
        if named is not None:
            try:
                self.candidate = loaded(named.version, await queries.document(connection, named.version), named.hash)
            except Conflict as problem:
                log.warning("policy_shadow_refused", reason=str(problem))
        self._named = named
        log.info("policy_shadow_changed", version=self.candidate and self.candidate.version)


@functools.cache
def _series(status: str, outcome: str) -> Counter:
    return metrics.SHADOW_DECISIONS.labels(status, outcome)
