"""`prequal review`: people decide what the policy leaves to them.

Invariant: it shows neither a PAN nor an applicant's name.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from prequal.cli.connection_settings import stores
from prequal.domain.application import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from prequal.postgres.connections import Connection
    from prequal.review.cases import Shown
    from prequal.review.queries import Case

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Application = Annotated[UUID, typer.Argument(metavar="APPLICATION", help="The application's id.")]
Text = Annotated[str, typer.Argument(metavar="NOTE", help="Up to 2000 characters, without a PAN.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.callback()
def review() -> None:
    """Applications in MANUAL_REVIEW: a queue of cases, claimed, noted on and decided by people.

    Each step is in the record of acts, with the user of this machine. A larger amount needs two different people.

    \b
    Examples:
      prequal review list
      prequal review claim 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
    """


@app.command("list")
def list_cases(
    by: Annotated[str, typer.Option(help="age: the nearest target time first; amount: the largest first.")] = "age",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most cases that are shown.")] = 50,
    after: Annotated[UUID | None, typer.Option(metavar="APPLICATION", help="The last one of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the undecided cases, with the hours to their target time.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Examples:
      prequal review list --by amount --limit 20
      prequal review list --after 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 --json
    """
    from prequal.core.errors import UsageError
    from prequal.review import cases
    from prequal.review.queries import Order

    if by not in [*Order]:
        raise UsageError(f"--by must be one of {', '.join(Order)}.")
    found = _run(lambda connection: cases.page(connection, Order(by), limit, after))
    if as_json:
        typer.echo(json.dumps([_as_json(case) for case in found]))
        return
    for case in found:
        typer.echo(_line(case))
    typer.echo("1 case." if len(found) == 1 else f"{len(found)} cases.")


@app.command()
def show(application: Application, as_json: AsJson = False) -> None:
    """Show a case: the application, the policy's reason, notes and votes.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal review show 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44
    """
    from prequal.review import cases

    shown = _run(lambda connection: cases.show(connection, application))
    if as_json:
        typer.echo(json.dumps(_whole(shown), ensure_ascii=False))
        return
    subject = shown.subject
    typer.echo(_line(shown.case))
    typer.echo(
        f"  {subject.loan_type}, income {subject.monthly_income_inr}, score {subject.cibil_score or 'none'}, "
        f"PAN {subject.pan_number_masked}: {subject.rule} by {subject.policy_version}, {subject.measures}"
    )
    for note in shown.notes:
        typer.echo(f"  {_time(note.written_at)}  {note.writer}: {note.note}")
    for vote in shown.votes:
        typer.echo(f"  {_time(vote.voted_at)}  {vote.voter} votes {vote.outcome}, {vote.reason}")


@app.command()
def claim(
    application: Application,
    minutes: Annotated[int, typer.Option(min=1, max=480, help="How long the case is yours.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Take a case, or lengthen your lease on it; afterwards it is free again.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal review claim 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 --minutes 60
    """
    from datetime import timedelta

    from prequal.record.acts import operator
    from prequal.review import cases

    lease = timedelta(minutes=minutes)
    _moved(lambda connection: cases.claim(connection, operator(), application, lease), as_json)


@app.command()
def note(application: Application, text: Text, as_json: AsJson = False) -> None:
    """Write a note on a case; it cannot be changed afterwards.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal review note 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 "Salary slips of three months are there."
    """
    from prequal.record.acts import operator
    from prequal.review import cases

    _moved(lambda connection: cases.note(connection, operator(), application, text), as_json)


@app.command("second-look")
def second_look(application: Application, text: Text, as_json: AsJson = False) -> None:
    """Release your case with a note: two people decide it, whatever its amount.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal review second-look 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 "Is this income regular?"
    """
    from prequal.record.acts import operator
    from prequal.review import cases

    _moved(lambda connection: cases.ask_second_look(connection, operator(), application, text), as_json)


@app.command()
def decide(
    application: Application,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="PRE_APPROVED or REJECTED.")],
    reason: Annotated[str, typer.Argument(metavar="REASON", help="`prequal review reasons` lists them.")],
    as_json: AsJson = False,
) -> None:
    """Decide a case that you have claimed; where two people are needed, this is one of two votes.

    Needs DATABASE_URL, or a running `prequal up`.

    \b
    Example:
      prequal review decide 01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44 PRE_APPROVED INCOME_CONFIRMED
    """
    from prequal.core.errors import UsageError
    from prequal.record.acts import operator
    from prequal.review import cases

    if outcome not in (Status.PRE_APPROVED, Status.REJECTED):
        raise UsageError("OUTCOME must be PRE_APPROVED or REJECTED.")
    chosen = Status(outcome)
    _moved(lambda connection: cases.decide(connection, operator(), application, chosen, reason), as_json)


@app.command()
def reasons(as_json: AsJson = False) -> None:
    """List the reasons of people's decisions, with the applicant's sentence.

    \b
    Example:
      prequal review reasons --json
    """
    from prequal.domain.review import REASONS

    if as_json:
        listed = [
            {"code": each.code, "outcome": each.outcome, "en": each.en, "hi": each.hi} for each in REASONS.values()
        ]
        typer.echo(json.dumps(listed, ensure_ascii=False))
        return
    for each in REASONS.values():
        typer.echo(f"{each.outcome:<12}  {each.code:<20}  {each.en}")


def _run(work: "Callable[[Connection], Awaitable[Any]]") -> Any:
    from prequal.core.settings import DatabaseSettings
    from prequal.schema.version import run_at_revision

    return run_at_revision(stores(DatabaseSettings).database_url, "review", work)


def _moved(work: "Callable[[Connection], Awaitable[Case]]", as_json: bool) -> None:
    case = _run(work)
    typer.echo(json.dumps(_as_json(case)) if as_json else _line(case))


def _whole(shown: "Shown") -> dict[str, Any]:
    subject = shown.subject
    return _as_json(shown.case) | {
        "status": subject.status,
        "pan_number_masked": subject.pan_number_masked,
        "loan_type": subject.loan_type,
        "monthly_income_inr": str(subject.monthly_income_inr),
        "cibil_score": subject.cibil_score,
        "policy_version": subject.policy_version,
        "policy_reason": subject.rule,
        "measures": json.loads(subject.measures),
        "created_at": _time(subject.created_at),
        "notes": [{"at": _time(each.written_at), "by": each.writer, "note": each.note} for each in shown.notes],
        "votes": [
            {"at": _time(each.voted_at), "by": each.voter, "outcome": each.outcome, "reason": each.reason}
            for each in shown.votes
        ],
    }


def _as_json(case: "Case") -> dict[str, Any]:
    return {
        "application_id": str(case.application_id),
        "state": case.state,
        "opened_at": _time(case.opened_at),
        "target_at": _time(case.target_at),
        "hours_to_target": round(case.hours_to_target, 2),
        "loan_amount_inr": str(case.loan_amount_inr),
        "people_needed": case.people_needed,
        "claimed_by": case.claimed_by if case.is_claimed else None,
        "lease_until": _time(case.lease_until) if case.is_claimed else None,
        "version": case.version,
        "outcome": case.outcome,
        "reason": case.reason,
        "decided_at": _time(case.decided_at),
    }


def _line(case: "Case") -> str:
    state = f"{case.outcome}, {case.reason}" if case.outcome else case.state.value
    claimed = f", claimed by {case.claimed_by} until {_time(case.lease_until)}" if case.is_claimed else ""
    people = ", two people" if case.people_needed == 2 else ""
    return (
        f"{case.application_id}  {case.hours_to_target:+8.1f} h  {case.loan_amount_inr:>14}  {state}{people}{claimed}"
    )


def _time(at: "datetime | None") -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
