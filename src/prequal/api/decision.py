"""`GET /applications/{application_id}/decision`: why an application was decided so, and what would be approved.

Invariant: the reason is the stored one, never decided again; an amount that is offered was, by the same version.
"""

import asyncio
import json
import re
from typing import Any, Final
from uuid import UUID

from starlette.types import Receive, Scope, Send

from prequal.api import read_queries
from prequal.api.decided_policies import DecidedPolicies
from prequal.api.errors import ApiError, ErrorCode
from prequal.api.json_answers import NO_STORE, send_json
from prequal.api.read_queries import StoredDecision
from prequal.api.reads import READ_SECONDS, OwnApplications
from prequal.core.errors import Transient
from prequal.domain.application import LoanType, Status
from prequal.domain.policy import packaged
from prequal.domain.policy.document import LANGUAGES
from prequal.domain.policy.facts import Facts, Kind
from prequal.domain.policy.path_to_yes import largest_approved
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.reasons import Figure, explain
from prequal.domain.policy.scope import AMOUNT
from prequal.domain.policy.sentences import figure, filled
from prequal.domain.review import REASONS
from prequal.domain.times import rfc3339
from prequal.service.http_requests import WITHOUT_SPACE, combined

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", re.ASCII)


class ShowDecision:
    """`GET /applications/{application_id}/decision`."""

    def __init__(self, applications: OwnApplications, policies: DecidedPolicies) -> None:
        self._applications = applications
        self._policies = policies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application_id, stored = await self._applications.read(scope, "decision", read_queries.stored_decision)
        language = language_of(combined(scope["headers"]).get(b"accept-language", b"").decode("latin-1"))
        policy = await self._policy_of(stored)
        body = decision_body(application_id, stored, policy, language) | {"request_id": scope["request_id"]}
        headers = [*NO_STORE, (b"vary", b"Accept-Language"), (b"content-language", language.encode())]
        await send_json(send, 200, json.dumps(body, ensure_ascii=False), headers)

    async def _policy_of(self, stored: StoredDecision) -> Policy | None:
        if stored.policy_version is None:
            return None
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._policies.of(stored.policy_version, stored.policy_hash)
        except (TimeoutError, Transient):
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE) from None


def language_of(accepted: str) -> str:
    """Of our languages the one that an `Accept-Language` (RFC 9110, 12.5.4) wants most; English without a wish."""
    best, weight = LANGUAGES[0], 0.0
    for part in accepted.split(","):
        tag, _, parameter = part.translate(WITHOUT_SPACE).lower().partition(";")
        language = tag.split("-")[0]
        wanted = parameter.removeprefix("q=") or "1"
        if language in LANGUAGES and _WEIGHT.fullmatch(wanted) and float(wanted) > weight:
            best, weight = language, float(wanted)
    return best


def decision_body(application_id: UUID, stored: StoredDecision, policy: Policy | None, language: str) -> dict[str, Any]:
    """The decision in `language`; of a pending application its status alone.

    Without the policy that decided, the reason is its code and the figures.
    """
    body: dict[str, Any] = {"application_id": str(application_id), "status": stored.status}
    if stored.status == Status.PENDING:
        return body
    reason = explain(policy, stored.rule or "", json.loads(stored.measures or "{}"), language)
    body["policy"] = {"version": stored.policy_version, "hash": stored.policy_hash and stored.policy_hash.hex()}
    body["reasons"] = [
        {
            "code": reason.code,
            "sentence": reason.sentence,
            "measured": _figure(reason.measured),
            "threshold": _figure(reason.threshold),
        }
    ]
    if stored.report_age_seconds is not None:
        body["bureau_report_age_seconds"] = stored.report_age_seconds
    if review := stored.review:
        body["review"] = {
            "outcome": review.outcome,
            "reason": review.reason,
            "sentence": getattr(REASONS[review.reason], language) if review.reason in REASONS else review.reason,
            "decided_at": rfc3339(review.decided_at),
        }
    elif policy and (path := _path_to_yes(policy, stored, language)):
        body["path_to_yes"] = path
    body["notice"] = getattr((policy or packaged.current()).document.notice, language)
    body["decided_at"] = rfc3339(stored.updated_at if review is None else review.opened_at)
    return body


def _figure(found: Figure | None) -> dict[str, object] | None:
    return None if found is None else {"name": found.name, "value": found.value, "text": found.text}


def _path_to_yes(policy: Policy, stored: StoredDecision, language: str) -> dict[str, object] | None:
    path = policy.document.path_to_yes
    if path is None or stored.status == Status.PRE_APPROVED:
        return None
    facts = Facts.of(stored.cibil_score, stored.monthly_income_inr, stored.loan_amount_inr, LoanType(stored.loan_type))
    paise = largest_approved(policy, facts)
    if paise is None:
        return None
    figures = {**policy.constants, AMOUNT: figure(paise, Kind.MONEY)}
    return {AMOUNT: figures[AMOUNT], "sentence": filled(getattr(path, language), figures, policy.scope.kinds)}
