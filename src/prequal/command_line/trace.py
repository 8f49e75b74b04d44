"""`prequal trace`: the story of one application, by its id.

Neighbours: `prequal.workbench.story` finds it out.
Invariant: it only reads, needs no key, and prints no more of a PAN than its mask.
"""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prequal.command_line.stores import stores

if TYPE_CHECKING:
    from prequal.workbench.settings import WorkbenchSettings
    from prequal.workbench.story import Story


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
    from prequal.kernel.settings import DatabaseSettings
    from prequal.workbench import story
    from prequal.workbench.filters import read_application_id

    wanted = read_application_id(application_id, "APPLICATION_ID")
    told = story.trace(stores(DatabaseSettings), _kafka(), wanted)
    typer.echo(json.dumps(_plain(told)) if as_json else "\n".join(_page(told)))


def _kafka() -> "WorkbenchSettings | None":
    from prequal.kernel.errors import Misconfigured
    from prequal.workbench.settings import WorkbenchSettings

    try:
        return stores(WorkbenchSettings)
    except Misconfigured:  # the database alone tells nearly all of it
        return None


def _page(story: "Story") -> list[str]:
    from prequal.workbench.story import moment

    known = [f"{name} {value}" for name, value in (("request", story.request_id), ("trace", story.trace_id)) if value]
    lines = [
        f"Application {story.application_id} of {story.pan_number_masked}: {story.status}",
        f"  {story.loan_type} loan of ₹{story.loan_amount_inr} on a monthly income of ₹{story.monthly_income_inr}",
        *([f"  {', '.join(known)}"] if known else []),
        "",
        *_way(story),
    ]
    if story.decision:
        lines += ["", f"{story.status} by rule {story.decision.rule} of policy {story.decision.policy_version}:"]
        lines += [f"  {story.decision.because}."]
    lines += ["", "Who touched the PAN, by the audit record:"]
    for access in story.pan_accesses:
        request = f"  request {access.request_id}" if access.request_id else ""
        lines.append(f"  {moment(access.at)}  {access.action:<6}  {access.service}{request}")
    if story.waits_for:
        lines += ["", "It waits:", *(f"  {sentence}" for sentence in story.waits_for)]
    return [*lines, *story.notes]


def _way(story: "Story") -> list[str]:
    """A line a step: when, how long after it was accepted, how long after the step before, who, what."""
    from prequal.workbench.story import lasted, moment

    lines, before = [f"  {'when':<24}  {'after':>10}  {'waited':>10}"], story.steps[0].at
    for step in story.steps:
        after, waited = lasted(step.at - story.steps[0].at), lasted(step.at - before)
        lines.append(f"  {moment(step.at)}  {after:>10}  {waited:>10}  {step.service} {step.what}")
        before = step.at
    return lines


def _plain(story: "Story") -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(story) | {"application_id": str(story.application_id)}
    before = story.steps[0].at
    for step in plain["steps"]:
        step["after_ms"] = _milliseconds(step["at"] - story.steps[0].at)
        step["waited_ms"] = _milliseconds(step["at"] - before)
        before = step["at"]
        step["at"] = step["at"].isoformat()
    for access in plain["pan_accesses"]:
        access["at"] = access["at"].isoformat()
    return plain


def _milliseconds(time: timedelta) -> float:
    return round(time.total_seconds() * 1000, 3)
