"""The page of the tables, `docs/tables.md`: what each holds, from here, and who uses it, from the grants.

Invariant: each table of the grants is on the page, once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prequal.schema.grants import GRANTS, privileges

PAGE: Final = Path("docs/tables.md")
HEAD: Final = """\
# Tables

Every table, what it holds, and who may add, change, delete and read its rows. Made by `make documents` from
`src/prequal/schema/grants.py` and `tools/tables.py`. The columns are in
[`schema.sql`](../src/prequal/schema/schema.sql), the same rights by column, and the roles, in
[security](security.md#database-roles).

`api`, `credit`, `decision`, `publisher` and `console` are the processes; `administrator`, `operator`, `reader` and
`auditor` are people's commands. `alembic_version`, which names the revision of the tables, everybody reads. The tables'
owner may do everything: `prequal migrate` makes the tables, `prequal maintain` deletes what is too old, once a day, and
`prequal audit drop` what of the record has been exported.
"""
VERBS: Final = {"added by": "INSERT", "changed by": "UPDATE", "deleted by": "DELETE", "read by": "SELECT"}
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "Applications": {
        "applications": "an application, with the PAN encrypted, hashed and masked; from its decision on, the status, "
        "the score, the reason and the policy",
        "idempotency_keys": "the application of an `Idempotency-Key`, and a keyed hash of the body, for 24 hours",
        "pan_claims": "the application that a client has sent for a PAN, by its hash, so that another is refused for "
        "24 hours",
        "undecided_mark": "one row: the id from which on the undecided are looked for along the primary key",
        "undecided_below_mark": "the undecided applications that the mark has passed",
        "application_list": "a narrow row for each decided application, which the console searches",
        "application_list_changes": "applications whose row in that list has to be written again",
        "application_list_range": "one row: the ids between which the list is complete",
    },
    "Events": {
        "outbox_events": "events that are not published yet, written in the transaction of their fact",
        "outbox_parked": "events that the broker refused, with the time of their next try",
        "outbox_archive": "published events, a partition for each day, for 7 days, and while their application is "
        "undecided",
        "processed_messages": "the inbox: which events a consumer has handled, for 30 days",
        "publisher_leases": "which publisher publishes a topic, or republishes, and until when",
        "republications": "how often an undecided application was republished, and when it is next",
        "resolved_dead_letters": "which dead letters were replayed or discarded, by whom and why; dead letters "
        "themselves are in Kafka",
    },
    "Credit bureau": {
        "bureau_calls": "how many calls of the bureau were allowed on a day",
        "bureau_reports": "reports that are kept for a client's next application of the same PAN, for 90 days at most",
        "reused_reports": "how old such a report was when an application was decided by it",
    },
    "Policy": {
        "policy_versions": "each version of the policy: its document, who proposed and who approved it, its backtest",
        "policy_activations": "which version is in force from when on; the newest whose time has come decides",
        "policy_challenges": "which version decides a share of the applications beside it, since when",
        "policy_shadows": "which version is tried beside it without effect, since when",
        "policy_shadow_differences": "applications that the version without effect would have decided otherwise, for "
        "90 days",
    },
    "Review": {
        "review_cases": "an application that people are to decide: its target time, who has claimed it, the outcome",
        "review_notes": "notes of people on a case",
        "review_votes": "what each person decided on a case",
    },
    "Clients and people": {
        "api_clients": "the API's clients: scopes, rate, the subject in their issuer's tokens",
        "api_client_secrets": "keyed hashes of their secrets, two at most for each client, with their times",
        "people": "who may sign in: roles, the password's hash, the encrypted secret of the second factor",
        "people_sessions": "who is signed in, by the hash of the session's token, and until when",
    },
    "Record": {
        "audit_log": "each submission and each decryption of a PAN; append-only",
        "acts": "each change that people and operators made, and each look that is recorded; append-only",
        "record_blocks": "the chain: digests of the entries of both, in blocks under a MAC",
        "record_seals": "up to which block the record has been exported and deleted, under a MAC",
    },
    "Keys": {
        "key_checks": "a check value of each key, by which a process that has another key is stopped; no key",
        "key_uses": "how many PANs each encryption key has encrypted",
    },
}
EVERYBODYS: Final = "alembic_version"
"""In the head of the page, not in a table of it."""


def page() -> str:
    """The page of today."""
    return HEAD + "".join(f"\n## {subject}\n\n{_table(tables)}" for subject, tables in TABLES.items())


def _table(tables: Mapping[str, str]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _rows(tables))


def _rows(tables: Mapping[str, str]) -> Iterator[list[str]]:
    yield ["table", "holds", *VERBS]
    yield ["---", "---", *("---" for _ in VERBS)]
    for table, holds in tables.items():
        yield [f"`{table}`", holds, *(_users(table, verb) for verb in VERBS.values())]


def _users(table: str, verb: str) -> str:
    return ", ".join(role.removeprefix("prequal_") for role in GRANTS[table] if verb in privileges(table, role))
