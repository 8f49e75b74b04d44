"""`prequal trace`: the story of one application, by its id.

Invariant: it only reads, needs no key, and prints no more of a PAN than its mask.
"""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.cli.connection_settings import stores

if TYPE_CHECKING:
    from prequal.core.settings import StoresSettings
    from prequal.ops.timeline import Timeline


def trace(
    application_id: Annotated[str, typer.Argument(metavar="APPLICATION_ID", help="As POST /applications gave it.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a page.")] = False,
) -> None:
    """Tell the story of one application.

    When each hop took it and how long it waited, what was decided and why, who saw the PAN (masked), and, while it is
    undecided, what it waits for. Needs DATABASE_URL, or a running `prequal up`; with KAFKA_BOOTSTRAP_SERVERS it looks
    through the dead letters of an undecided application too. Needs no key.

    \b
    Examples:
      prequal trace 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
      prequal trace 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 --json
    """
    from prequal.core.settings import DatabaseSettings
    from prequal.ops import timeline
    from prequal.ops.selection import read_application_id

    wanted = read_application_id(application_id, "APPLICATION_ID")
    told = timeline.trace(stores(DatabaseSettings), _kafka(), wanted)
    typer.echo(json.dumps(_plain(told)) if as_json else "\n".join(_page(told)))


def _kafka() -> "StoresSettings | None":
    from prequal.core.errors import Misconfigured
    from prequal.core.settings import StoresSettings

    try:
        return stores(StoresSettings)
    except Misconfigured:  # the database alone tells nearly all of it
        return None


def _page(timeline: "Timeline") -> list[str]:
    from prequal.ops.timeline import moment

    known = [
        f"{name} {value}" for name, value in (("request", timeline.request_id), ("trace", timeline.trace_id)) if value
    ]
    wish = f"{timeline.loan_type} loan of ₹{timeline.loan_amount_inr}"
    lines = [
        f"Application {timeline.application_id} of {timeline.pan_number_masked}: {timeline.status}",
        f"  {wish} on a monthly income of ₹{timeline.monthly_income_inr}",
        *([f"  {', '.join(known)}"] if known else []),
        "",
        *_way(timeline),
    ]
    if timeline.decision:
        lines += [
            "",
            f"{timeline.status} by rule {timeline.decision.rule} of policy {timeline.decision.policy_version}:",
        ]
        lines += [f"  {timeline.decision.because}."]
    lines += ["", "Who touched the PAN, by the audit record:"]
    for access in timeline.pan_accesses:
        request = f"  request {access.request_id}" if access.request_id else ""
        lines.append(f"  {moment(access.at)}  {access.action:<6}  {access.service}{request}")
    if timeline.waits_for:
        lines += ["", "It waits:", *(f"  {sentence}" for sentence in timeline.waits_for)]
    return [*lines, *timeline.notes]


def _way(timeline: "Timeline") -> list[str]:
    """A line a step: when, how long after it was accepted, how long after the step before, who, what."""
    from prequal.ops.timeline import lasted, moment

    lines, before = [f"  {'when':<24}  {'after':>10}  {'waited':>10}"], timeline.steps[0].at
    for step in timeline.steps:
        after, waited = lasted(step.at - timeline.steps[0].at), lasted(step.at - before)
        lines.append(f"  {moment(step.at)}  {after:>10}  {waited:>10}  {step.service} {step.what}")
        before = step.at
    return lines


def _plain(timeline: "Timeline") -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(timeline) | {"application_id": str(timeline.application_id)}
    before = timeline.steps[0].at
    for step in plain["steps"]:
        step["after_ms"] = _milliseconds(step["at"] - timeline.steps[0].at)
        step["waited_ms"] = _milliseconds(step["at"] - before)
        before = step["at"]
        step["at"] = step["at"].isoformat()
    for access in plain["pan_accesses"]:
        access["at"] = access["at"].isoformat()
    return plain


def _milliseconds(time: timedelta) -> float:
    return round(time.total_seconds() * 1000, 3)
