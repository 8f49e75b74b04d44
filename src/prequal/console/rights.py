"""What each role may see and do in the console: the one table of right and roles.

Invariant: what no row names is refused, on the server, whatever a page showed.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from prequal.domain.person import PersonRole

_EVERYBODY: Final = frozenset(PersonRole)
_ADMINISTRATOR, _OPERATOR, _AUDITOR = PersonRole.ADMINISTRATOR, PersonRole.OPERATOR, PersonRole.AUDITOR
_REVIEWER, _RISK_OFFICER, _APPROVER = PersonRole.REVIEWER, PersonRole.RISK_OFFICER, PersonRole.APPROVER


class Right(StrEnum):
    """Something that can be seen or done."""

    OVERVIEW = "overview"
    TRY_IT = "try_it"
    SYSTEM = "system"
    APPLICATIONS = "applications"
    POLICY = "policy"
    PROPOSE_POLICY = "propose_policy"
    APPROVE_POLICY = "approve_policy"
    ACTIVATE_POLICY = "activate_policy"
    REVIEW = "review"
    DECIDE_REVIEW = "decide_review"
    DEAD_LETTERS = "dead_letters"
    RESOLVE_DEAD_LETTERS = "resolve_dead_letters"
    RECORD = "record"
    AUDIT_RECORD = "audit_record"
    CLIENTS = "clients"
    REVOKE_CLIENTS = "revoke_clients"
    PEOPLE = "people"
    CHANGE_PEOPLE = "change_people"


RIGHTS: Final[Mapping[Right, frozenset[PersonRole]]] = {
    Right.OVERVIEW: _EVERYBODY,
    Right.SYSTEM: _EVERYBODY,
    Right.TRY_IT: _EVERYBODY,
    Right.APPLICATIONS: frozenset({_RISK_OFFICER, _APPROVER, _REVIEWER, _OPERATOR, _AUDITOR}),
    Right.POLICY: frozenset({_RISK_OFFICER, _APPROVER, _REVIEWER, _AUDITOR}),
    Right.PROPOSE_POLICY: frozenset({_RISK_OFFICER}),
    Right.APPROVE_POLICY: frozenset({_APPROVER}),
    Right.ACTIVATE_POLICY: frozenset({_RISK_OFFICER, _APPROVER}),
    Right.REVIEW: frozenset({_RISK_OFFICER, _APPROVER, _REVIEWER, _AUDITOR}),
    Right.DECIDE_REVIEW: frozenset({_REVIEWER}),
    Right.DEAD_LETTERS: frozenset({_OPERATOR, _AUDITOR}),
    Right.RESOLVE_DEAD_LETTERS: frozenset({_OPERATOR}),
    Right.RECORD: frozenset({_ADMINISTRATOR, _AUDITOR}),
    Right.AUDIT_RECORD: frozenset({_AUDITOR}),
    Right.CLIENTS: frozenset({_ADMINISTRATOR, _OPERATOR, _AUDITOR}),
    Right.REVOKE_CLIENTS: frozenset({_ADMINISTRATOR}),
    Right.PEOPLE: frozenset({_ADMINISTRATOR, _AUDITOR}),
    Right.CHANGE_PEOPLE: frozenset({_ADMINISTRATOR}),
}


def may(roles: Collection[PersonRole], right: Right) -> bool:
    """Whether someone with these roles has the right."""
    return not RIGHTS[right].isdisjoint(roles)
