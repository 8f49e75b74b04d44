"""A backtest on a terminal: its progress, and its report as a page.

Invariant: the page says nothing that the JSON does not.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import typer

from prequal.core.errors import PrequalError
from prequal.domain.counts import grouped
from prequal.domain.money import rupees
from prequal.ops.policies import newest_read

if TYPE_CHECKING:
    from prequal.cli.signed_in import Login

EVERY_SECONDS: Final = 1.0
FLIPS_SHOWN: Final = 20


class Progress:
    """Says on stderr how many rows were read, once a second at most."""

    def __init__(self) -> None:
        self._began = self._shown = monotonic()

    def __call__(self, read: int, everything: int) -> None:
        """Rows read so far, and about how many there are in the table."""
        if monotonic() - self._shown < EVERY_SECONDS:
            return
        self._shown = monotonic()
        of = f" of about {grouped(everything)}" if everything >= read else ""
        rate = read / (self._shown - self._began)
        typer.echo(f"{grouped(read)}{of} applications read, {grouped(round(rate))} a second", err=True)


@contextmanager
def progress_of(person: "Login") -> Iterator[None]:
    """Say the progress of the backtest that the console runs for a person while the block waits for its report."""
    over = threading.Event()
    threading.Thread(target=_follow, args=(person, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _follow(person: "Login", over: threading.Event) -> None:
    progress = Progress()
    while not over.wait(EVERY_SECONDS):
        try:
            running = person.call("GET", "/policy/backtests/running")["running"]
        except PrequalError:  # the report's own request says what there is to say
            return
        if running and running["by"] == person.person and not over.is_set():
            progress(running["applications_read"], running["applications_about"])


def page(report: Mapping[str, Any]) -> list[str]:
    """The report in lines."""
    candidate, flips = report["candidate"], report["flips"]
    amount = sum((Decimal(flip["loan_amount_inr"]) for flip in flips), Decimal())
    applications, pending = grouped(report["applications"]), grouped(report["pending"])
    return [
        f"{applications} decided applications by policy {candidate['version']}, sha256 {candidate['hash']}",
        f"{grouped(len(flips))} would have another status, of loans of {rupees(amount)}; {pending} are pending.",
        *(f"The {found}." for found in [newest(report)] if found),
        *_replayed(report["replayed"]),
        *_table("By status", report["outcomes"], ()),
        *_table("By loan type", report["by_loan_type"], ("loan_type",)),
        *_table("By score", report["by_score_band"], ("scores",)),
        *_table("By reason", report["by_reason"], ()),
        *_flips(flips),
    ]


def newest(report: Mapping[str, Any]) -> str:
    """Which application a report read last, and when that came; empty where it read none, or does not say it."""
    if (found := newest_read(report)) is None:
        return ""
    id_, came = found
    return f"newest that was read is {id_}, of {came:%Y-%m-%d %H:%M:%S}Z"


def _replayed(replayed: Mapping[str, Any]) -> Iterator[str]:
    otherwise = replayed["otherwise_than_stored"]
    if not otherwise:
        yield "Decided again by their own versions, all are as they were stored."
    else:
        yield f"Decided again by their own versions, {grouped(len(otherwise))} are NOT as they were stored:"
        yield from (f"  {_flip(flip)}" for flip in otherwise[:FLIPS_SHOWN])
    if replayed["of_unknown_versions"]:
        yield f"{grouped(replayed['of_unknown_versions'])} are of versions that this code does not have."


def _table(title: str, groups: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """The groups that differ before and after, with how many are left as they were."""
    changed = [group for group in groups if group["before"] != group["after"]]
    yield from ("", f"{title}:")
    for group in changed:
        what = "  ".join([*(f"{group[name]:<10}" for name in names), f"{group['before']} → {group['after']}"])
        number, amount = grouped(group["applications"]), rupees(Decimal(group["loan_amount_inr"]))
        yield f"  {number:>10}  {amount:>22}  {what}"
    same = sum(group["applications"] for group in groups if group["before"] == group["after"])
    yield f"  {grouped(same):>10}  {'':>22}  as before"


def _flips(flips: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if flips:
        yield from ("", "The first of them, all are in --json:" if len(flips) > FLIPS_SHOWN else "They are:")
        yield from (f"  {_flip(flip)}" for flip in flips[:FLIPS_SHOWN])


def _flip(flip: Mapping[str, Any]) -> str:
    before, after = flip["before"], flip["after"]
    amount = rupees(Decimal(flip["loan_amount_inr"]))
    return f"{flip['application_id']}  {before['status']} → {after['status']}, {after['reason']}  {amount}"
