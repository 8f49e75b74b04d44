"""The policy by which this process decides, and its challenger: read at the start, and every two seconds.

Invariant: no decision waits for it; a document that cannot be loaded is not taken over, and the one before it decides.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import structlog

from prequal.core.errors import Misconfigured, Transient
from prequal.core.lifecycle import pause
from prequal.decision.shadow import Shadow
from prequal.domain.application import LoanType
from prequal.domain.policy.challenge import is_challenged
from prequal.domain.policy.policy import Policy
from prequal.policy_versions import challenge_queries, queries
from prequal.policy_versions.life import Conflict, loaded
from prequal.policy_versions.queries import Activation
from prequal.postgres.connections import Connection, SingleConnection
from prequal.telemetry import metrics
from prequal.telemetry.failures import LoggedOnce

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 2.0
"""An activation holds within 5 s: this, and the bound of one look."""
LOOK_SECONDS: Final = 2.5
CANDIDATES: Final = 10
"""So many activations are tried, the newest first, until a document can be loaded."""


class Challenger(NamedTuple):
    """The version that challenges, and its share in basis points, 1 … 5,000."""

    policy: Policy
    share: int


class InForce(NamedTuple):
    """What a batch is decided by."""

    live: Policy
    challenger: Challenger | None = None

    def policy_of(self, draw: int | None) -> Policy:
        """The policy of who drew `draw`, 0 … 9,999, or is not drawn for."""
        challenger = self.challenger
        return challenger.policy if challenger and is_challenged(draw, challenger.share) else self.live


class PolicyInForce:
    """The policy of the newest activation whose time has come, and whose document this code understands.

    With it the challenger, while one decides a share.

    Attributes:
        shadow: the candidate beside it.
    """

    def __init__(self, database_url: str, service_name: str) -> None:
        self._connection = SingleConnection(database_url, f"{service_name} policy")
        self._in_force: InForce | None = None
        self.shadow = Shadow()
        self._refused: dict[bytes, str] = {}
        self._problem: str | None = None
        self._failures = LoggedOnce("policy_not_read", TimeoutError, Transient)

    def current(self) -> Policy:
        """The version in force; `load` has run."""
        return self.decided_by().live

    def decided_by(self) -> InForce:
        """What a batch that begins now is decided by; `load` has run."""
        assert self._in_force is not None
        return self._in_force

    def detail(self) -> dict[str, Any]:
        """What `/ready` says of it."""
        if self._in_force is None:
            return {}
        live, challenger = self._in_force
        found: dict[str, Any] = {"version": live.version, "hash": live.hash}
        if challenger:
            policy, share = challenger
            found["challenger"] = {"version": policy.version, "hash": policy.hash, "share_basis_points": share}
        return {"policy": found | ({"refused": self._problem} if self._problem else {})}

    async def load(self, connection: Connection) -> None:
        """Take over what is in force; one look.

        Raises:
            Misconfigured: no activated document can be loaded, and none was before.
        """
        activations = await queries.effective_activations(connection, CANDIDATES)
        policy = await self._first_that_loads(connection, activations)
        live = policy or (self._in_force and self._in_force.live)
        if live is None:
            raise Misconfigured("No activated version of the policy can be loaded: run the code that activated it.")
        challenger = await self._challenger(connection, activations)
        self._note_problem(self._refused.get(activations[0].hash) if activations else "there is no activation")
        self._take_over(InForce(live, challenger))

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop`; a look that fails is logged once, and changes nothing."""
        while not stop.is_set():
            await pause(stop, LOOK_EVERY_SECONDS)
            with self._failures:
                async with asyncio.timeout(LOOK_SECONDS), self._connection.use() as connection:
                    await self.load(connection)
                    await self.shadow.look(connection)

    async def close(self) -> None:
        """Write the shadow's last differences, if the database answers, and close; nothing is decided any more."""
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._connection.use() as connection:
                await self.shadow.write(connection)
        except (TimeoutError, Transient) as error:
            log.warning("policy_shadow_not_written", reason=str(error))
        await self._connection.close()

    async def _first_that_loads(self, connection: Connection, activations: Sequence[Activation]) -> Policy | None:
        for each in activations:
            if policy := await self._loaded(connection, each.version, each.hash):
                return policy
        return None

    async def _challenger(self, connection: Connection, activations: Sequence[Activation]) -> Challenger | None:
        """What challenges the newest of the activations."""
        named = await challenge_queries.newest(connection)
        if named is None or not activations or named.activation_id != activations[0].id:
            return None
        is_new = named.hash not in self._refused
        policy = await self._loaded(connection, named.version, named.hash)
        if policy is None and is_new:
            log.warning("policy_challenger_refused", reason=self._refused[named.hash])
        return None if policy is None else Challenger(policy, named.share)

    async def _loaded(self, connection: Connection, version: str, digest: bytes) -> Policy | None:
        """The policy of this document, the same one where it decides already; None where it cannot be loaded."""
        for policy in self._policies():
            if policy.digest == digest:
                return policy
        if digest in self._refused:
            return None
        try:
            return loaded(version, await queries.document(connection, version), digest)
        except Conflict as problem:
            self._refused[digest] = str(problem)
            return None

    def _policies(self) -> list[Policy]:
        """What decides now: the version in force, and the one that challenges it."""
        if self._in_force is None:
            return []
        live, challenger = self._in_force
        return [live, challenger.policy] if challenger else [live]

    def _note_problem(self, problem: str | None) -> None:
        if problem and problem != self._problem:
            log.error("policy_refused", reason=problem)
        self._problem = problem
        metrics.POLICY_REFUSED.set(problem is not None)

    def _take_over(self, new: InForce) -> None:
        old = self._in_force
        if new == old:
            return
        self._in_force = new
        for code, status in chain.from_iterable(policy.outcomes.items() for policy in self._policies()):
            for loan_type in LoanType:
                metrics.BY_STATUS.labels(status.value, code, loan_type.value)
        if old is None or new.live is not old.live:
            if old is not None:
                metrics.POLICY_IN_FORCE.labels(old.live.version).set(0)
            metrics.POLICY_IN_FORCE.labels(new.live.version).set(1)
            log.info("policy_in_force", version=new.live.version, hash=new.live.hash)
        if new.challenger != (old and old.challenger):
            version, share = new.challenger and new.challenger.policy.version, new.challenger and new.challenger.share
            log.info("policy_challenger_changed", version=version, share_basis_points=share)
