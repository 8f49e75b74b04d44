"""Who may do what with which table: the one grid of role, table and privilege.

Invariant: every table of ours has its row; what no cell names is refused.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

Grid: TypeAlias = Mapping[str, Mapping["Role", str]]


class Role(StrEnum):
    """A role without a login, which holds privileges; each process has a login of its own that is a member."""

    API = "prequal_api"
    CREDIT = "prequal_credit"
    DECISION = "prequal_decision"
    PUBLISHER = "prequal_publisher"
    CONSOLE = "prequal_console"
    ADMINISTRATOR = "prequal_administrator"
    OPERATOR = "prequal_operator"
    READER = "prequal_reader"
    AUDITOR = "prequal_auditor"

    @property
    def login(self) -> str:
        """The login that `prequal roles` makes for this role when it is given a password."""
        return f"{self}_login"


DUTIES: Final[Mapping[Role, str]] = {
    Role.API: "`prequal api`",
    Role.CREDIT: "`prequal credit`",
    Role.DECISION: "`prequal decision`",
    Role.PUBLISHER: "`prequal publisher`",
    Role.CONSOLE: "`prequal console`",
    Role.ADMINISTRATOR: "`prequal clients`, `prequal keys`, `prequal users`",
    Role.OPERATOR: "`prequal dlq`, `republish`, `review`, `policy propose` and what follows it, and what the reader "
    "does",
    Role.READER: "`prequal status`, `trace`, `dlq list`, `dlq show`, `policy list`, `policy backtest`",
    Role.AUDITOR: "`prequal audit`",
}

MEMBER_OF: Final[Mapping[Role, str]] = {Role.PUBLISHER: "pg_read_all_stats"}
"""Roles of PostgreSQL itself: its metrics count the sessions of others, and the age of their transactions."""

_FACTS = "id, pan_number_hash, monthly_income_inr, loan_amount_inr, loan_type, status"
"""What a consumer compares an event with."""
_SHOWN = (
    "id, pan_number_masked, loan_type, monthly_income_inr, loan_amount_inr, status, cibil_score, decision_rule, "
    "decision_measures, policy_version, policy_hash, created_at, updated_at, client"
)
"""What a person or a client is shown: neither the name nor the encrypted PAN."""
_EVENT = "event_id, event_type, application_id, payload, correlation_id, traceparent"
_ARCHIVED = f"id, topic, {_EVENT}, created_at"
_ARCHIVES = f"{_ARCHIVED}, published_by"
_ARCHIVES_ITS_OWN = f"SELECT ({_ARCHIVED}, republished), INSERT (topic, {_EVENT}), DELETE"
_ACT = "actor_kind, actor, action, subject_kind, subject, details"
"""What is said of an act; its id and its time are the database's."""
_CASE = "state, people_needed, claimed_by, lease_until, version, outcome, reason, decided_at"
"""What people change of a case."""
_NOTE = "application_id, writer_kind, writer, note"
_VOTE = "application_id, voter, voter_kind, outcome, reason"
_ACTIVATION = "version, hash, effective_from, activated_by_kind, activated_by"
_CHALLENGE = "version, hash, share_basis_points, activation_id, begun_by_kind, begun_by"
_VERSION = (
    "INSERT (version, document, hash, authors, proposed_by_kind, proposed_by), UPDATE (document, hash, authors, "
    "proposed_by_kind, proposed_by, proposed_at, backtest_hash, backtest_report, backtested_at, approved_hash, "
    "approved_backtest_hash, approved_by_kind, approved_by, approved_at)"
)
_UNDER_HASH_KEY = "application_id, expires_at, hash_key"
"""What shows whether a hash key may be retired."""
_SIGNED = "application_id, event_type, payload, created_at"
"""What shows whether an encryption key, or a report key, may be retired."""
_EVERY_ROLE = dict.fromkeys(Role, "SELECT")

GRANTS: Final[Grid] = {
    "acts": {
        Role.CONSOLE: f"SELECT, INSERT ({_ACT})",
        Role.ADMINISTRATOR: f"INSERT ({_ACT})",
        Role.OPERATOR: f"SELECT, INSERT ({_ACT})",
        Role.READER: "SELECT",
        Role.AUDITOR: "SELECT",
    },
    "alembic_version": _EVERY_ROLE,
    "api_client_secrets": {
        Role.API: "SELECT, UPDATE (last_used_at)",
        Role.CONSOLE: "SELECT (client, slot, created_at, not_before, expires_at, revoked_at, last_used_at)",
        Role.ADMINISTRATOR: "SELECT, INSERT, UPDATE",
    },
    "api_clients": {
        Role.API: "SELECT",
        Role.CONSOLE: "SELECT, UPDATE (revoked_at)",
        Role.ADMINISTRATOR: "SELECT, INSERT, UPDATE",
    },
    "application_list": {Role.CONSOLE: "SELECT, INSERT, UPDATE (status, score_band), DELETE"},
    "application_list_changes": {
        Role.DECISION: "INSERT (application_id)",
        Role.PUBLISHER: "INSERT (application_id)",
        Role.CONSOLE: "SELECT, INSERT (application_id), DELETE",
        Role.OPERATOR: "INSERT (application_id)",
    },
    "application_list_range": {Role.CONSOLE: "SELECT, UPDATE (lowest, below)"},
    "applications": {
        Role.API: f"SELECT ({_SHOWN}), "
        "INSERT (id, pan_number_encrypted, pan_number_hash, pan_number_masked, applicant_name, monthly_income_inr, "
        "loan_amount_inr, loan_type, client)",
        Role.CREDIT: f"SELECT ({_FACTS}, client)",
        Role.DECISION: f"SELECT ({_FACTS}, client, version, created_at, ctid), UPDATE (status, cibil_score, "
        "decision_rule, decision_measures, policy_version, policy_hash, version, updated_at)",
        Role.PUBLISHER: "SELECT (id, status, created_at)",
        Role.CONSOLE: f"SELECT ({_SHOWN}, version), UPDATE (status, version, updated_at)",
        Role.ADMINISTRATOR: "SELECT (id, pan_number_encrypted, status, created_at), UPDATE (pan_number_encrypted)",
        Role.OPERATOR: f"SELECT ({_SHOWN}, version), UPDATE (status, version, updated_at)",
        Role.READER: f"SELECT ({_SHOWN}, version)",
        Role.AUDITOR: "SELECT (id, pan_number_hash, created_at)",
    },
    "audit_log": {
        Role.API: "INSERT (application_id, service, action, request_id, client)",
        Role.CREDIT: "INSERT (application_id, service, action, request_id)",
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: "INSERT (application_id, service, action)",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
        Role.AUDITOR: "SELECT",
    },
    "bureau_calls": {Role.CREDIT: "SELECT, INSERT, UPDATE (calls)", Role.PUBLISHER: "SELECT"},
    "bureau_reports": {Role.CREDIT: "SELECT, INSERT, UPDATE (cibil_score, challenge_draw, reported_at)"},
    "idempotency_keys": {Role.API: "SELECT, INSERT, UPDATE, DELETE", Role.ADMINISTRATOR: f"SELECT ({_UNDER_HASH_KEY})"},
    "key_checks": {
        Role.API: "SELECT, INSERT",
        Role.CREDIT: "SELECT, INSERT",
        Role.DECISION: "SELECT, INSERT",
        Role.CONSOLE: "SELECT, INSERT",
        Role.ADMINISTRATOR: "SELECT, INSERT, UPDATE (retired_at), DELETE",
        Role.AUDITOR: "SELECT, INSERT",
    },
    "key_uses": {
        Role.API: "SELECT, INSERT, UPDATE",
        Role.PUBLISHER: "SELECT",
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: "SELECT, INSERT, UPDATE",
    },
    "outbox_archive": {
        Role.API: f"INSERT ({_ARCHIVES})",
        Role.CREDIT: f"INSERT ({_ARCHIVES})",
        Role.PUBLISHER: "SELECT, INSERT",
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: f"SELECT ({_SIGNED})",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "outbox_events": {
        Role.API: _ARCHIVES_ITS_OWN,
        Role.CREDIT: _ARCHIVES_ITS_OWN,
        Role.DECISION: f"INSERT (topic, {_EVENT})",
        Role.PUBLISHER: "SELECT, INSERT, DELETE",
        Role.CONSOLE: f"SELECT, INSERT (topic, {_EVENT})",
        Role.ADMINISTRATOR: f"SELECT ({_SIGNED})",
        Role.OPERATOR: f"SELECT, INSERT (topic, {_EVENT}, created_at, republished)",
        Role.READER: "SELECT",
    },
    "outbox_parked": {
        Role.PUBLISHER: "SELECT, INSERT, UPDATE, DELETE",
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: f"SELECT ({_SIGNED})",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "pan_claims": {Role.API: "SELECT, INSERT, UPDATE", Role.ADMINISTRATOR: f"SELECT ({_UNDER_HASH_KEY})"},
    "people": {Role.CONSOLE: "SELECT, INSERT, UPDATE", Role.ADMINISTRATOR: "SELECT, INSERT, UPDATE"},
    "people_sessions": {Role.CONSOLE: "SELECT, INSERT, UPDATE, DELETE", Role.ADMINISTRATOR: "SELECT, DELETE"},
    "policy_activations": {
        Role.API: "SELECT",
        Role.DECISION: "SELECT",
        Role.CONSOLE: f"SELECT, INSERT ({_ACTIVATION})",
        Role.OPERATOR: f"SELECT, INSERT ({_ACTIVATION})",
        Role.READER: "SELECT",
    },
    "policy_challenges": {
        Role.DECISION: "SELECT",
        Role.CONSOLE: f"SELECT, INSERT ({_CHALLENGE})",
        Role.OPERATOR: f"SELECT, INSERT ({_CHALLENGE})",
        Role.READER: "SELECT",
    },
    "policy_shadow_differences": {
        Role.DECISION: "INSERT (application_id, version, hash, live_version, live_status, live_reason, shadow_status, "
        "shadow_reason)",
        Role.CONSOLE: "SELECT",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "policy_shadows": {
        Role.DECISION: "SELECT",
        Role.CONSOLE: "SELECT, INSERT (version, hash, begun_by_kind, begun_by)",
        Role.OPERATOR: "SELECT, INSERT (version, hash, begun_by_kind, begun_by)",
        Role.READER: "SELECT",
    },
    "policy_versions": {
        Role.API: "SELECT",
        Role.DECISION: "SELECT",
        Role.CONSOLE: f"SELECT, {_VERSION}",
        Role.OPERATOR: f"SELECT, {_VERSION}",
        Role.READER: "SELECT",
    },
    "processed_messages": {
        Role.CREDIT: "SELECT, INSERT",
        Role.DECISION: "SELECT, INSERT",
        Role.CONSOLE: "SELECT",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "publisher_leases": {Role.PUBLISHER: "SELECT, INSERT, UPDATE"},
    "record_blocks": {
        Role.CONSOLE: "SELECT, INSERT",
        Role.ADMINISTRATOR: "SELECT (number, chained_at, key_id)",
        Role.AUDITOR: "SELECT, INSERT",
    },
    "record_seals": {
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: "SELECT (block, key_id)",
        Role.AUDITOR: "SELECT",
    },
    "republications": {
        Role.PUBLISHER: "SELECT, INSERT, UPDATE",
        Role.CONSOLE: "SELECT",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "resolved_dead_letters": {
        Role.CONSOLE: "SELECT, INSERT",
        Role.OPERATOR: "SELECT, INSERT",
        Role.READER: "SELECT",
    },
    "reused_reports": {
        Role.API: "SELECT",
        Role.CREDIT: "SELECT (application_id), INSERT",
        Role.CONSOLE: "SELECT",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "review_cases": {
        Role.API: "SELECT (application_id, opened_at, outcome, reason, decided_at)",
        Role.DECISION: "INSERT (application_id, loan_amount_inr, target_at, people_needed, decision_published)",
        Role.PUBLISHER: "SELECT (target_at, outcome)",
        Role.CONSOLE: f"SELECT, UPDATE ({_CASE})",
        Role.OPERATOR: f"SELECT, UPDATE ({_CASE})",
        Role.READER: "SELECT",
    },
    "review_notes": {
        Role.CONSOLE: f"SELECT, INSERT ({_NOTE})",
        Role.OPERATOR: f"SELECT, INSERT ({_NOTE})",
        Role.READER: "SELECT",
    },
    "review_votes": {
        Role.CONSOLE: f"SELECT, INSERT ({_VOTE})",
        Role.OPERATOR: f"SELECT, INSERT ({_VOTE})",
        Role.READER: "SELECT",
    },
    "undecided_below_mark": {
        Role.API: "INSERT",
        Role.DECISION: "SELECT, INSERT, DELETE",
        Role.PUBLISHER: "SELECT, INSERT, DELETE",
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: "SELECT",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
    "undecided_mark": {
        Role.API: "SELECT",
        Role.DECISION: "SELECT, UPDATE",
        Role.PUBLISHER: "SELECT, UPDATE",
        Role.CONSOLE: "SELECT",
        Role.ADMINISTRATOR: "SELECT",
        Role.OPERATOR: "SELECT",
        Role.READER: "SELECT",
    },
}
"""By table and role the privileges as GRANT spells them, with their columns where not all are needed.

Days of `outbox_archive` have no rows: who may use the archive uses them through it, and nobody reaches one by its name.
"""

_PRIVILEGE = re.compile(r"([A-Z]+)(?: \(([^)]*)\))?")


def privileges(table: str, role: Role) -> dict[str, tuple[str, ...]]:
    """The verbs of a cell, each with its columns; none for all of them."""
    cell = GRANTS[table].get(role, "")
    return {verb: tuple(columns.split(", ")) if columns else () for verb, columns in _PRIVILEGE.findall(cell)}
