"""The policy by which this process decides: read at the start, and every two seconds.

Invariant: no decision waits for it; a document that cannot be loaded is not taken over, and the one before it decides.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog

from prequal.core.errors import Misconfigured, Transient
from prequal.core.lifecycle import pause
from prequal.decision.shadow import Shadow
from prequal.domain.application import LoanType
from prequal.domain.policy.policy import Policy
from prequal.policy_versions import queries
from prequal.policy_versions.life import Conflict, loaded
from prequal.policy_versions.queries import Activation
from prequal.postgres.connections import Connection, SingleConnection
from prequal.telemetry import metrics

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 2.0
"""An activation holds within 5 s: this, and the bound of one look."""
LOOK_SECONDS: Final = 2.5
CANDIDATES: Final = 10
"""So many activations are tried, the newest first, until a document can be loaded."""


class PolicyInForce:
    """The policy of the newest activation whose time has come, and whose document this code understands.

    Attributes:
        shadow: the candidate beside it.
    """

    def __init__(self, database_url: str, service_name: str) -> None:
        self._link = SingleConnection(database_url, f"{service_name} policy")
        self._policy: Policy | None = None
        self.shadow = Shadow()
        self._refused: dict[bytes, str] = {}
        self._problem: str | None = None
        self._failed = False

    def current(self) -> Policy:
        """The policy to decide by; `load` has run."""
        assert self._policy is not None
        return self._policy

    def detail(self) -> dict[str, Any]:
        """What `/ready` says of it."""
        if self._policy is None:
            return {}
        found: dict[str, Any] = {"version": self._policy.version, "hash": self._policy.hash}
        return {"policy": found | ({"refused": self._problem} if self._problem else {})}

    async def load(self, connection: Connection) -> None:
        """Take over what is in force; one look.

        Raises:
            Misconfigured: no activated document can be loaded, and none was before.
        """
        activations = await queries.effective_activations(connection, CANDIDATES)
        policy = await self._first_that_loads(connection, activations)
        if policy is None and self._policy is None:
            raise Misconfigured("No activated version of the policy can be loaded: run the code that activated it.")
        self._note_problem(self._refused.get(activations[0].hash) if activations else "there is no activation")
        if policy is not None and policy is not self._policy:
            self._take_over(policy)

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop`; a look that fails is said once, and changes nothing."""
        while not stop.is_set():
            await pause(stop, LOOK_EVERY_SECONDS)
            try:
                async with asyncio.timeout(LOOK_SECONDS), self._link.use() as connection:
                    await self.load(connection)
                    await self.shadow.look(connection)
            except (TimeoutError, Transient) as error:
                if not self._failed:
                    log.warning("policy_not_read", reason=str(error))
                self._failed = True
            else:
                self._failed = False

    async def close(self) -> None:
        """Write the shadow's last differences, if the database answers, and close; nothing is decided any more."""
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._link.use() as connection:
                await self.shadow.write(connection)
        except (TimeoutError, Transient) as error:
            log.warning("policy_shadow_not_written", reason=str(error))
        await self._link.close()

    async def _first_that_loads(self, connection: Connection, activations: Sequence[Activation]) -> Policy | None:
        for each in activations:
            if self._policy is not None and self._policy.digest == each.hash:
                return self._policy
            if each.hash not in self._refused:
                document = await queries.document(connection, each.version)
                try:
                    return loaded(each.version, document, each.hash)
                except Conflict as problem:
                    self._refused[each.hash] = str(problem)
        return None

    def _note_problem(self, problem: str | None) -> None:
        if problem and problem != self._problem:
            log.error("policy_refused", reason=problem)
        self._problem = problem
        metrics.POLICY_REFUSED.set(problem is not None)

    def _take_over(self, policy: Policy) -> None:
        if self._policy is not None:
            metrics.POLICY_IN_FORCE.labels(self._policy.version).set(0)
        metrics.POLICY_IN_FORCE.labels(policy.version).set(1)
        for code, status in policy.outcomes.items():
            for loan_type in LoanType:
                metrics.BY_STATUS.labels(status.value, code, loan_type.value)
        self._policy = policy
        log.info("policy_in_force", version=policy.version, hash=policy.hash)
