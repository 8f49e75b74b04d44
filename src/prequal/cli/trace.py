"""`prequal trace`: the timeline of one application, by its id or by that of its request.

Invariant: it only reads, needs no key, and prints no more of a PAN than its mask.
"""

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli.connection_settings import stores
from prequal.domain.money import rupees

if TYPE_CHECKING:
    from prequal.core.settings import StoresSettings
    from prequal.ops.timeline import Timeline


def trace(
    id_: Annotated[str, typer.Argument(metavar="ID", help="application_id or request_id of POST /applications.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a page.")] = False,
) -> None:
    """Show the timeline of one application.

    When each service handled it and how long it waited, the decision and its reason, the accesses to the PAN (masked),
    and, while it is undecided, what is due next. The request_id of an accepted request leads there for 7 days; that of
    a refused one, or of one that repeated an Idempotency-Key, is in the API's log. Needs DATABASE_URL, or a running
    `prequal up`; with KAFKA_BOOTSTRAP_SERVERS it searches the dead letters of an undecided application too. Needs no
    key.

    \b
    Examples:
      prequal trace 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
      prequal trace 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 --json
    """
    from prequal.core.settings import DatabaseSettings
    from prequal.ops import timeline
    from prequal.ops.selection import read_trace_id

    wanted = read_trace_id(id_)
    found = timeline.trace(stores(DatabaseSettings), _kafka(), wanted)
    typer.echo(json.dumps(_as_json(found)) if as_json else "\n".join(_page(found)))


def _kafka() -> "StoresSettings | None":
    from prequal.core.errors import Misconfigured
    from prequal.core.settings import StoresSettings

    try:
        return stores(StoresSettings)
    except Misconfigured:  # the database alone holds nearly all of it
        return None


def _page(timeline: "Timeline") -> list[str]:
    ids = [f"{name} {id_}" for name, id_ in (("request", timeline.request_id), ("trace", timeline.trace_id)) if id_]
    return [
        f"Application {timeline.application_id} of {timeline.pan_number_masked}: {timeline.status}",
        f"  {timeline.loan_type} loan of {rupees(Decimal(timeline.loan_amount_inr))} on a monthly income of "
        f"{rupees(Decimal(timeline.monthly_income_inr))}",
        *([f"  {', '.join(ids)}"] if ids else []),
        "",
        *_step_lines(timeline),
        *_decision_lines(timeline),
        *_access_lines(timeline),
        *(["", "It waits:", *(f"  {sentence}" for sentence in timeline.waits_for)] if timeline.waits_for else []),
        *timeline.notes,
    ]


def _step_lines(timeline: "Timeline") -> list[str]:
    """A line a step: its time, how long after the acceptance, how long after the step before, who, what."""
    from prequal.ops.timeline import format_duration, format_time

    lines, before = [f"  {'when':<24}  {'after':>10}  {'waited':>10}"], timeline.steps[0].at
    for step in timeline.steps:
        after, waited = format_duration(step.at - timeline.steps[0].at), format_duration(step.at - before)
        lines.append(f"  {format_time(step.at)}  {after:>10}  {waited:>10}  {step.service} {step.what}")
        before = step.at
    return lines


def _decision_lines(timeline: "Timeline") -> list[str]:
    decision = timeline.decision
    if decision is None:
        return []
    return [
        "",
        f"{decision.status} by rule {decision.rule} of policy {decision.policy_version}:",
        f"  {decision.reason.removesuffix('.')}.",
    ]


def _access_lines(timeline: "Timeline") -> list[str]:
    from prequal.ops.timeline import format_time

    lines = ["", "Accesses to the PAN, by the audit log:"]
    for access in timeline.pan_accesses:
        request = f"  request {access.request_id}" if access.request_id else ""
        lines.append(f"  {format_time(access.at)}  {access.action:<6}  {access.service}{request}")
    return lines


def _as_json(timeline: "Timeline") -> dict[str, Any]:
    from dataclasses import asdict

    content = asdict(timeline) | {"application_id": str(timeline.application_id)}
    before = timeline.steps[0].at
    for step in content["steps"]:
        step["after_ms"] = _milliseconds(step["at"] - timeline.steps[0].at)
        step["waited_ms"] = _milliseconds(step["at"] - before)
        before = step["at"]
        step["at"] = step["at"].isoformat()
    for access in content["pan_accesses"]:
        access["at"] = access["at"].isoformat()
    return content


def _milliseconds(time: timedelta) -> float:
    return round(time.total_seconds() * 1000, 3)
