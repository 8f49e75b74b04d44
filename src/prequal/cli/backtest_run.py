"""`prequal policy backtest` carried out: beside the database, or by the console for the person who signed in.

Invariant: a report that may not be recorded is refused before it is made.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prequal.cli.backtest_page import Progress, progress_of
from prequal.cli.connection_settings import stores
from prequal.cli.policy import digest_of, loaded
from prequal.cli.signed_in import BACKTEST_SECONDS, Login
from prequal.core.errors import UsageError
from prequal.core.settings import DatabaseSettings
from prequal.ops import backtest, policies
from prequal.ops.policies import in_transaction, is_file, read_file
from prequal.ops.selection import read_moment
from prequal.policy_versions import life
from prequal.policy_versions.life import Seen
from prequal.record.acts import operator


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be backtested on which applications, whether that is recorded, and in the place of which backtest."""

    candidate: str
    since: str | None
    until: str | None
    record: bool
    replace: str | None

    @property
    def seen(self) -> Seen:
        """The backtest whose place it takes. Raises `UsageError` where nothing is recorded, or it is no SHA-256."""
        if self.replace is not None and not self.record:
            raise UsageError("--replace is given with --record.")
        return Seen(backtest=None if self.replace is None else digest_of("--replace", self.replace))


def here(asked: Asked) -> tuple[dict[str, Any], str]:
    """The report, and its hash if it was recorded; as the user of this machine."""
    database_url, policy = stores(DatabaseSettings).database_url, loaded(asked.candidate)
    actor, seen = operator(), asked.seen
    since = None if asked.since is None else read_moment("--from", asked.since)
    until = None if asked.until is None else read_moment("--to", asked.until)
    if asked.record:
        in_transaction(
            database_url, lambda connection: life.require_recordable(connection, actor, policy.version, seen)
        )
    backtest.give_way()
    found = backtest.backtest(database_url, policy, since, until, Progress())
    if not asked.record:
        return found, ""
    recorded = policies.record_backtest(database_url, actor, policy, found, seen)
    return found, "" if recorded.backtest_hash is None else recorded.backtest_hash.hex()


def over(person: Login, asked: Asked) -> tuple[dict[str, Any], str]:
    """The same, by the console for the person who signed in."""
    candidate, replaced = asked.candidate, asked.seen.backtest
    which = {"document": read_file(Path(candidate))} if is_file(candidate) else {"version": candidate}
    replaces = {} if replaced is None else {"replaces": replaced.hex()}
    content = {**which, **replaces, "since": asked.since, "until": asked.until, "record": asked.record}
    with progress_of(person):
        answer = person.call("POST", "/policy/backtests", content, BACKTEST_SECONDS)
    return answer["report"], answer["sha256"] if answer["recorded"] else ""
