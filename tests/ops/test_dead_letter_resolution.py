"""Dead letters on a real broker, resolved in a real database."""

import asyncio
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from harness.broker import REPORTED, REPORTED_DLQ, SUBMITTED, SUBMITTED_DLQ, Broker, Headers, RawMessage
from harness.database import Database
from harness.ports import free_port
from harness.waiting import soon
from prequal.core.errors import Misconfigured, Transient, UsageError
from prequal.core.settings import StoresSettings
from prequal.ops import dead_letter_resolution, queries, topic_reader
from prequal.ops.dead_letter_resolution import DeadLetterSelection, Resolution
from prequal.ops.stored_dead_letter import DeadLetterId, DeadLetterState, StoredDeadLetter
from prequal.record.acts import Actor, ActorKind
from tests.support.consumers import assessing
from tests.support.submissions import a_submission, store
from tests.support.unreadable_headers import stored_with_unreadable_headers

ASHA = Actor(ActorKind.PERSON, "asha")


def a_dead_letter(kind: str = "malformed_json", **changes: Any) -> RawMessage:
    """A dead letter of its topic's first partition."""
    headers: Headers = [
        ("traceparent", b"00-x"),
        ("dlq.error_kind", kind.encode()),
        ("dlq.error_message", b"a sentence"),
        ("odd", None),
    ]
    return replace(RawMessage(b"{", b"key", headers, 0), **changes)


def waiting(stores: StoresSettings, which: DeadLetterSelection | None = None) -> list[str]:
    found = dead_letter_resolution.find(stores, which or DeadLetterSelection())
    return [str(each.id) for each in found if each.state is DeadLetterState.WAITING]


def resolutions(database: Database) -> list[tuple[Any, ...]]:
    rows = database.rows("SELECT * FROM resolved_dead_letters ORDER BY id")
    return [(row["action"], f"{row['topic']}:{row['partition']}:{row['offset']}", row["reason"]) for row in rows]


def replay(stores: StoresSettings, *ids: str, **options: Any) -> Resolution:
    which = options.pop("which", None) or DeadLetterSelection(tuple(map(DeadLetterId.read, ids)))
    return dead_letter_resolution.replay(stores, which, by=ASHA, **options)


def discard(stores: StoresSettings, *ids: str, because: str = "a test", **options: Any) -> Resolution:
    which = options.pop("which", None) or DeadLetterSelection(tuple(map(DeadLetterId.read, ids)))
    return dead_letter_resolution.discard(stores, which, because=because, by=ASHA, **options)


def named(dead_letters: Iterable[Any]) -> list[str]:
    return [str(each.id) for each in dead_letters]


# ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_counts_the_dead_letters_that_their_topics_hold_and_nobody_resolved(
    stores: StoresSettings, broker: Broker, prequal: Any
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter() for _ in range(3)])
    discard(stores, f"{SUBMITTED_DLQ}:0:1")
    replay(stores, f"{SUBMITTED_DLQ}:0:1", force=True)

    assert prequal("status", "--json")["dead_letters"] == 2


def test_resolution_of_a_dead_letter_that_its_topic_does_not_hold_hides_none_of_the_status(
    stores: StoresSettings, broker: Broker, prequal: Any
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter() for _ in range(3)])
    discard(stores, f"{SUBMITTED_DLQ}:0:1", f"{SUBMITTED_DLQ}:0:2")
    broker.delete(SUBMITTED_DLQ)
    broker.create()
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])

    assert prequal("status", "--json")["dead_letters"] == 1


def test_dead_letters_of_both_topics_are_found_in_order(stores: StoresSettings, broker: Broker) -> None:
    broker.publish(REPORTED_DLQ, [a_dead_letter(partition=2)])
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(partition=1), a_dead_letter(), a_dead_letter(value=b"\0" * 900_000)])

    assert waiting(stores) == [
        f"{REPORTED_DLQ}:2:0",
        f"{SUBMITTED_DLQ}:0:0",
        f"{SUBMITTED_DLQ}:0:1",
        f"{SUBMITTED_DLQ}:1:0",
    ]


def test_reading_changes_nothing_in_kafka_or_the_database(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])

    waiting(stores)

    assert broker.committed("prequal-dlq", SUBMITTED_DLQ) == 0
    assert resolutions(database) == []


def test_filters_select_by_reason_and_by_topic(stores: StoresSettings, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter("unknown_version"), a_dead_letter("of_newer_code")])
    broker.publish(REPORTED_DLQ, [a_dead_letter("unknown_version")])

    assert waiting(stores, DeadLetterSelection(kind="unknown_version")) == [
        f"{REPORTED_DLQ}:0:0",
        f"{SUBMITTED_DLQ}:0:1",
    ]
    assert waiting(stores, DeadLetterSelection(kind="unknown_version", source=REPORTED)) == [f"{REPORTED_DLQ}:0:0"]
    assert waiting(stores, DeadLetterSelection(kind="of_newer_code")) == [f"{SUBMITTED_DLQ}:0:2"]
    assert waiting(stores, DeadLetterSelection(kind="tampered_token")) == []


def test_filters_select_by_the_time_of_writing(stores: StoresSettings, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])
    (found,) = dead_letter_resolution.find(stores, DeadLetterSelection())
    written = found.written_at

    after, later = DeadLetterSelection(since=written), DeadLetterSelection(since=written + timedelta(milliseconds=1))
    before, earlier = DeadLetterSelection(until=written + timedelta(milliseconds=1)), DeadLetterSelection(until=written)

    assert [len(waiting(stores, which)) for which in (after, later, before, earlier)] == [1, 0, 1, 0]
    assert [len(waiting(stores, DeadLetterSelection(since=timedelta(hours=hours)))) for hours in (1, 99)] == [1, 1]
    assert waiting(stores, DeadLetterSelection(until=timedelta(hours=1))) == []


def test_unknown_reason_is_refused_and_one_without_dead_letters_is_not(stores: StoresSettings) -> None:
    assert waiting(stores, DeadLetterSelection(kind="malformed_json")) == []
    with pytest.raises(UsageError, match=r"`malformed` is none of the kinds .*malformed_json"):
        waiting(stores, DeadLetterSelection(kind="malformed"))


def test_missing_dead_letter_is_refused_and_nothing_is_done(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])

    for act in (replay, discard):
        with pytest.raises(UsageError, match=rf"no dead letter {SUBMITTED_DLQ}:0:1 "):
            act(stores, f"{SUBMITTED_DLQ}:0:0", f"{SUBMITTED_DLQ}:0:1")

    assert (broker.published(SUBMITTED), resolutions(database)) == (0, [])


# ── replaying ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_replay_sends_the_original_without_our_headers(stores: StoresSettings, broker: Broker) -> None:
    originals = [(b"key", b'{"a": 1}'), (None, None), (b"", b""), (b"\xff\0", b"\0\xff" * 450_000)]
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(key=key, value=value) for key, value in originals])

    replay(stores, which=DeadLetterSelection())

    messages = broker.read(SUBMITTED, len(originals))
    assert sorted(map(repr, originals)) == sorted(repr((message.key(), message.value())) for message in messages)
    assert [message.headers() for message in messages] == [[("traceparent", b"00-x"), ("odd", None)]] * len(originals)


def test_replayed_dead_letter_is_not_replayed_again(stores: StoresSettings, broker: Broker, database: Database) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter()])
    first = f"{SUBMITTED_DLQ}:0:0"
    replay(stores, first)

    again = replay(stores, first)

    assert (named(again.resolved), named(again.already_resolved)) == ([], [first])
    assert waiting(stores) == [f"{SUBMITTED_DLQ}:0:1"]
    assert (broker.published(SUBMITTED), resolutions(database)) == (1, [("replayed", first, None)])


def test_replay_by_filter_selects_the_waiting_ones(stores: StoresSettings, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter("unknown_version"), a_dead_letter()])
    replay(stores, f"{SUBMITTED_DLQ}:0:0")

    resolution = replay(stores, which=DeadLetterSelection(kind="malformed_json"))

    assert (named(resolution.resolved), resolution.already_resolved) == ([f"{SUBMITTED_DLQ}:0:2"], [])
    assert broker.published(SUBMITTED) == 2


def test_dry_run_lists_the_selection_and_changes_nothing(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter()])

    found = [act(stores, which=DeadLetterSelection(), dry_run=True) for act in (replay, discard)]

    assert [named(each.resolved) for each in found] == [[f"{SUBMITTED_DLQ}:0:0", f"{SUBMITTED_DLQ}:0:1"]] * 2
    assert (broker.published(SUBMITTED), resolutions(database)) == (0, [])


def test_more_dead_letters_than_one_batch_are_all_sent(
    stores: StoresSettings, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_resolution, "BATCH", 3)
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(partition=number % 3) for number in range(10)])

    resolution = replay(stores, which=DeadLetterSelection())

    assert len(resolution.resolved) == broker.published(SUBMITTED) == 10
    assert waiting(stores) == []


def test_two_replays_at_once_send_each_dead_letter_once(stores: StoresSettings, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(partition=number % 3) for number in range(20)])

    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: replay(stores, which=DeadLetterSelection()), range(2)))

    assert sorted(len(each.resolved) for each in both) == [0, 20]
    assert broker.published(SUBMITTED) == 20


async def test_replay_after_the_repair_works_and_again_is_harmless(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    submission = a_submission()
    broker.publish(SUBMITTED, [submission.submitted(partition=1)])
    async with assessing(database, broker) as consuming:
        await soon(consuming.all_handled)
        (found,) = await asyncio.to_thread(dead_letter_resolution.find, stores, DeadLetterSelection())
        store(database, [submission])

        for _ in range(2):
            await asyncio.to_thread(replay, stores, str(found.id), force=True)
        await soon(consuming.all_handled)

    report = database.row("SELECT event_id, payload::jsonb AS content FROM outbox_events")
    assert (report["event_id"], report["content"]["cibil_score"]) == (submission.report_id, submission.score)
    assert broker.published(SUBMITTED) == 3
    assert_has_its_origin(found, submission.id, submission.event_id)


async def test_dead_letter_that_is_replayed_and_dies_again_keeps_its_history(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    broker.publish(SUBMITTED, [RawMessage(b"{", b"key", [], 1)])
    async with assessing(database, broker):
        await broker.arrived(SUBMITTED_DLQ, 1)
        (first,) = await asyncio.to_thread(dead_letter_resolution.find, stores, DeadLetterSelection())

        await asyncio.to_thread(replay, stores, str(first.id))

        await broker.arrived(SUBMITTED_DLQ, 2)
    found = await asyncio.to_thread(dead_letter_resolution.find, stores, DeadLetterSelection())
    (second,) = [each for each in found if each.id != first.id]
    assert (first.attempts, second.attempts) == (1, 2)
    assert second.first_seen == first.first_seen
    assert second.last_seen != first.last_seen


def assert_has_its_origin(dead_letter: StoredDeadLetter, application_id: object, event_id: object) -> None:
    assert (dead_letter.application_id, dead_letter.event_id) == (application_id, event_id)
    assert (dead_letter.kind, dead_letter.attempts) == ("unknown_application", 1)
    assert (dead_letter.origin.topic, dead_letter.origin.partition, dead_letter.origin.offset) == (SUBMITTED, 1, 0)
    assert dead_letter.first_seen is not None
    assert dead_letter.last_seen is not None


def test_resolution_does_not_cover_the_same_offset_of_a_recreated_topic(
    stores: StoresSettings, broker: Broker, prequal: Any
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])
    replay(stores, f"{SUBMITTED_DLQ}:0:0")
    broker.renew()
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])

    assert waiting(stores) == [f"{SUBMITTED_DLQ}:0:0"]
    assert prequal("status", "--json")["dead_letters"] == 1


# ── discarding ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_discard_is_recorded_with_who_and_why(stores: StoresSettings, broker: Broker, database: Database) -> None:
    submission = a_submission()
    broker.publish(SUBMITTED_DLQ, [a_dead_letter("unknown_version", value=submission.message)])

    discard(stores, f"{SUBMITTED_DLQ}:0:0", because="  sent by\n a load test ")

    act = database.row("SELECT actor_kind, actor, action, subject, details FROM acts")
    assert act == {
        "actor_kind": "person",
        "actor": "asha",
        "action": "dead_letters_discarded",
        "subject": f"{SUBMITTED_DLQ}:0:0",
        "details": {"dead_letters": 1, "reason": "sent by a load test"},
    }
    row = database.row("SELECT * FROM resolved_dead_letters")
    assert (row["action"], row["reason"], row["resolved_by"]) == ("discarded", "sent by a load test", "asha")
    assert (row["error_kind"], row["event_id"]) == ("unknown_version", str(submission.event_id))
    assert waiting(stores) == []
    assert broker.published(SUBMITTED) == 0


def test_discarded_dead_letter_is_replayed_by_force_only_and_both_stay_recorded(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter()])
    id_ = f"{SUBMITTED_DLQ}:0:0"
    discard(stores, id_)

    with pytest.raises(UsageError, match="only a forced replay takes those"):
        replay(stores, id_)
    assert named(replay(stores, which=DeadLetterSelection()).resolved) == []
    assert broker.published(SUBMITTED) == 0
    replay(stores, id_, force=True)

    assert resolutions(database) == [("discarded", id_, "a test"), ("replayed", id_, None)]
    assert broker.published(SUBMITTED) == 1
    assert [each.state for each in dead_letter_resolution.find(stores, DeadLetterSelection())] == [
        DeadLetterState.REPLAYED
    ]


def test_resolved_dead_letter_is_not_discarded(stores: StoresSettings, broker: Broker, database: Database) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter()])
    ids = [f"{SUBMITTED_DLQ}:0:0", f"{SUBMITTED_DLQ}:0:1"]
    replay(stores, ids[0])
    discard(stores, ids[1], because="first")

    resolution = discard(stores, *ids, because="second")

    assert named(resolution.already_resolved) == ids
    assert resolutions(database) == [("replayed", ids[0], None), ("discarded", ids[1], "first")]


@pytest.mark.parametrize(
    "because",
    ["", " \n", "x" * 501, "bell\a", "PAN ABCDE1234F was wrong", "XYZDE1234F", "abcde 1234 f", "2345 6789 0124"],
)
def test_discard_without_a_good_reason_is_refused(because: str) -> None:
    without_stores = StoresSettings.model_construct(database_url="", kafka_bootstrap_servers="")

    with pytest.raises(UsageError, match=r"^The reason ") as refused:
        discard(without_stores, f"{SUBMITTED_DLQ}:0:0", because=because)

    assert "1234" not in str(refused.value)


@pytest.mark.parametrize("reason", [None, "", " ", "\u00a0"])
def test_database_takes_no_discard_without_a_reason(reason: str | None, database: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="discarded_for_a_reason"):
        database.execute(
            """
            INSERT INTO resolved_dead_letters (
                topic, partition, "offset", written_at, action, error_kind, resolved_by, reason
            ) VALUES ('t', 0, 0, now(), 'discarded', 'k', 'asha', %s)
            """,
            reason,
        )


# ── the infrastructure ──────────────────────────────────────────────────────────────────────────────────────────


def without_broker(database_url: str) -> StoresSettings:
    return StoresSettings.model_construct(database_url=database_url, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")


def test_broker_that_is_away_is_out_of_reach(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "REQUEST_SECONDS", 0.5)

    with pytest.raises(Transient, match=r"^Kafka at .* does not answer"):
        waiting(without_broker(database.url))


def test_database_that_is_away_is_out_of_reach() -> None:
    with pytest.raises(Transient, match="PostgreSQL cannot be reached"):
        waiting(without_broker(f"postgresql://127.0.0.1:{free_port()}/prequal"))


def test_dead_letter_topic_that_is_away_is_named(stores: StoresSettings, broker: Broker) -> None:
    broker.delete(REPORTED_DLQ)

    with pytest.raises(Misconfigured, match=f"{REPORTED_DLQ} does not exist: run `prequal topics`"):
        waiting(stores)


def test_dead_letter_that_the_source_refuses_goes_on_waiting(
    stores: StoresSettings, broker: Broker, database: Database
) -> None:
    broker.configure(SUBMITTED, max_message_bytes="2000")
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter(value=b"{" * 3000)])

    with pytest.raises(Transient, match="took 1 of 2 dead letters back, then not any more: MSG_SIZE_TOO_LARGE"):
        replay(stores, which=DeadLetterSelection())

    assert waiting(stores) == [f"{SUBMITTED_DLQ}:0:1"]
    assert resolutions(database) == [("replayed", f"{SUBMITTED_DLQ}:0:0", None)]


def test_another_command_at_work_is_waited_for_and_then_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOCK_SECONDS", 0.1)

    with database.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [queries.RESOLVING_LOCK])
        with pytest.raises(Transient, match="Another `prequal dlq` is at work"):
            replay(without_broker(database.url), which=DeadLetterSelection())


# ── as a person meets it ────────────────────────────────────────────────────────────────────────────────────────


def test_list_shows_the_waiting_ones_and_all_shows_all(prequal: Any, stores: StoresSettings, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter("unknown_version")])
    replay(stores, f"{SUBMITTED_DLQ}:0:0")

    shown = prequal("dlq", "list").stdout

    assert f"{SUBMITTED_DLQ}:0:1  waiting  unknown_version\n  a sentence\n" in shown
    assert shown.endswith("\n1 dead letter.\n")
    assert [each["state"] for each in prequal("dlq", "list", "--all", "--json")] == ["replayed", "waiting"]
    assert [each["state"] for each in prequal("dlq", "list", f"{SUBMITTED_DLQ}:0:0", "--json")] == ["replayed"]


def test_show_prints_the_whole_message_and_no_pan(prequal: Any, broker: Broker) -> None:
    headers: Headers = [("dlq.error_kind", b"invalid_fields"), ("ABCDE1234F", b"FGHIJ5678K"), ("none", None)]
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(value=b'{"pan": "ABCDE1234F"}', key=b"FGHIJ5678K", headers=headers)])
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(value=b"\0ABCDE1234F")])
    ids = [f"{SUBMITTED_DLQ}:0:0", f"{SUBMITTED_DLQ}:0:1"]

    page = prequal("dlq", "show", *ids).stdout
    text, binary = prequal("dlq", "show", *ids, "--json")

    assert "\n  key XXXXX5678K\n" in page
    assert "\n  XXXXX1234F: XXXXX5678K\n  none: -\n" in page
    assert '\n{"pan": "XXXXX1234F"}\n' in page
    assert ".XXXXX1234F" in page
    assert (text["payload"]["lines"], binary["payload"]["binary"]) == (['{"pan": "XXXXX1234F"}'], True)
    assert "ABCDE" not in page + json.dumps([text, binary])


def test_dead_letter_with_unreadable_headers_is_shown_and_replayed_without_them(
    prequal: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(value=b"{1")])
    stored_with_unreadable_headers(monkeypatch)
    id_ = f"{SUBMITTED_DLQ}:0:0"

    page, (as_json,) = prequal("dlq", "show", id_), prequal("dlq", "show", id_, "--json")
    replayed = prequal("dlq", "replay", id_)

    assert page.stdout.startswith(f"{id_}  waiting  unknown\n")
    assert (as_json["headers"], as_json["payload"]["lines"]) == ([], ["{1"])
    assert replayed.stdout == f"{id_}\n1 dead letter replayed.\n"
    assert broker.published(SUBMITTED) == 1


def test_replay_and_discard_report_their_counts(prequal: Any, broker: Broker) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter("unknown_version")])

    dry = prequal("dlq", "replay", "--all", "--dry-run").stdout
    replayed = prequal("dlq", "replay", "--reason", "unknown_version", "--since", "1h", "--topic", SUBMITTED, "--json")
    over = prequal("dlq", "discard", f"{SUBMITTED_DLQ}:0:1", "--because", "no use").stdout
    discarded = prequal("dlq", "discard", "--all", "--because", "no use").stdout

    assert dry.endswith("2 dead letters would be replayed.\n")
    assert replayed == {"dry_run": False, "replayed": [f"{SUBMITTED_DLQ}:0:1"], "already_resolved": []}
    assert over == f"{SUBMITTED_DLQ}:0:1 was already resolved.\n0 dead letters discarded.\n"
    assert discarded == f"{SUBMITTED_DLQ}:0:0\n1 dead letter discarded.\n"


def test_status_counts_the_dead_letters_that_wait_and_none_that_is_resolved(
    prequal: Any, stores: StoresSettings, broker: Broker
) -> None:
    broker.publish(SUBMITTED_DLQ, [a_dead_letter(), a_dead_letter()])
    broker.publish(REPORTED_DLQ, [a_dead_letter()])

    before = prequal("status", "--json")
    discard(stores, f"{SUBMITTED_DLQ}:0:0")
    after, screen = prequal("status", "--json"), prequal("status").stdout

    assert (before["dead_letters"], after["dead_letters"]) == (3, 2)
    assert re.search(r"^ *dead letters +2\b", screen, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        "replay",
        "discard --because x",
        "replay --all --reason malformed_json",
        "replay nonsense",
        "show nonsense",
        "list nonsense",
        f"list {SUBMITTED}:0:0",
        "list --since yesterday",
        "discard --until 2026 --because x",
        "list --topic nonsense",
    ],
)
def test_malformed_arguments_are_refused_before_any_store_is_asked(words: str, prequal_without_stores: Any) -> None:
    problem = prequal_without_stores("dlq", *words.split()).exception

    assert isinstance(problem, UsageError)
    assert "Bad settings" not in str(problem)
    assert "\n" not in str(problem)
