"""Daily maintenance: partitions ahead, old rows gone, nothing of an undecided application lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from harness.database import Database
from harness.ports import free_port
from harness.waiting import eventually
from prequal.core.errors import Misconfigured, Transient
from prequal.postgres import locks
from prequal.schema.retention import (
    ARCHIVE_DAYS,
    DIFFERENCES_DAYS,
    INBOX_DAYS,
    REPORT_DAYS,
    RESOLVED_DAYS,
    maintain,
)
from tests.support.database_away import let_no_connection_be_closed
from tests.support.publishing import INSERT_UNPUBLISHED, an_unpublished_row
from tests.support.submissions import Submission, stored

TODAY = datetime.now(UTC).date()


def partitions(database: Database) -> set[str]:
    rows = database.rows(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'outbox_archive'::regclass"
    )
    return {row["name"] for row in rows}


def partition_of(days: int) -> str:
    return f"outbox_archive_{TODAY + timedelta(days=days):%Y%m%d}"


def published(database: Database, submission: Submission, days_ago: int) -> None:
    """Archive an event of an application as published some days ago, in that day's partition."""
    day = TODAY - timedelta(days=days_ago)
    if partition_of(-days_ago) not in partitions(database):
        database.execute(
            f"CREATE TABLE {partition_of(-days_ago)} PARTITION OF outbox_archive "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(days=1)} 00:00+00')"
        )
    database.execute(INSERT_UNPUBLISHED, *an_unpublished_row(application_id=submission.id))
    database.execute(
        """
        WITH published AS (DELETE FROM outbox_events RETURNING *)
        INSERT INTO outbox_archive (id, topic, event_id, event_type, application_id, payload, created_at, published_at)
        SELECT id, topic, event_id, event_type, application_id, payload, created_at, %s::timestamptz FROM published
        """,
        f"{day} 12:00+00",
    )


def remembered(database: Database, consumer: str, days: int, days_later: int = 0, rows: int = 1) -> None:
    """Inbox rows of applications that came some days ago, written as many days later."""
    database.execute(
        """
        INSERT INTO processed_messages (consumer, event_id, digest, processed_at, application_id)
        SELECT %s, gen_random_uuid(), 'd', now() - make_interval(days => %s), uuidv7(make_interval(days => %s))
        FROM generate_series(1, %s)
        """,
        consumer,
        days - days_later,
        -days,
        rows,
    )


OLD_ROWS = {
    "processed_messages": "'c', gen_random_uuid(), 'd', now() - interval '40 days', uuidv7(interval '-40 days')",
    "pan_claims": "encode(sha256(n::text::bytea), 'hex'), gen_random_uuid(), now() - interval '2 days'",
    "idempotency_keys": (
        "sha256(n::text::bytea), sha256('r'), gen_random_uuid(), gen_random_uuid()::text, now() - interval '2 days'"
    ),
    "bureau_reports": "'local', encode(sha256(n::text::bytea), 'hex'), 700, now() - interval '99 days'",
}
"""Tables that grow with the applications, and the values of a row that is to be pruned."""


def fill(database: Database, table: str, rows: int) -> None:
    """Rows that are to be pruned."""
    database.execute(f"INSERT INTO {table} SELECT {OLD_ROWS[table]} FROM generate_series(1, %s) AS n", rows)


def pages_touched(database: Database, table: str) -> int:
    """How often pages of a table and its indexes were read so far, by sessions that have ended and by this one."""
    eventually(lambda: not database.rows("SELECT FROM pg_stat_activity WHERE application_name LIKE 'maintain%%'"))
    database.execute("SELECT pg_stat_force_next_flush()")
    return int(
        database.value(
            """
            SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit
            FROM pg_statio_user_tables WHERE relname = %s
            """,
            table,
        )
    )


def decide(database: Database, submission: Submission) -> None:
    database.execute(
        """
        UPDATE applications SET status = 'REJECTED', cibil_score = 600, decision_rule = 'r', decision_measures = '{}',
               policy_version = 'v1' WHERE id = %s
        """,
        submission.id,
    )


def test_partitions_are_made_from_today_to_seven_days_ahead(database: Database) -> None:
    for name in partitions(database):
        database.execute(f"DROP TABLE {name}")

    done = maintain(database.url)

    assert done.partitions_made == 8
    assert partitions(database) == {partition_of(days) for days in range(8)}


def test_no_partition_is_vacuumed_for_being_inserted_into(database: Database) -> None:
    database.execute(f"DROP TABLE {partition_of(3)}")
    maintain(database.url)

    rows = database.rows(
        "SELECT relname, reloptions FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid "
        "WHERE inhparent = 'outbox_archive'::regclass"
    )
    assert {tuple(row["reloptions"] or ()) for row in rows} == {("autovacuum_vacuum_insert_threshold=-1",)}


def test_bounds_of_a_partition_are_utc_midnights_in_any_time_zone(database: Database) -> None:
    for name in partitions(database):
        database.execute(f"DROP TABLE {name}")
    name = database.value("SELECT current_database()")
    database.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")

    maintain(database.url)

    database.execute("SET timezone = 'UTC'")
    bounds = database.value("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = %s", partition_of(0))
    assert f"('{TODAY} 00:00:00+00') TO ('{TODAY + timedelta(days=1)} 00:00:00+00')" in bounds


def test_running_it_again_changes_nothing(database: Database) -> None:
    maintain(database.url)
    before = partitions(database), database.everything()

    done = maintain(database.url)

    assert (partitions(database), database.everything()) == before
    assert set(
        vars(done).values() if hasattr(done, "__dict__") else [done.partitions_made, done.partitions_dropped]
    ) == {0}


def test_run_that_is_done_is_not_lost_to_a_server_that_does_not_say_goodbye(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_no_connection_be_closed(monkeypatch)

    assert maintain(database.url).partitions_dropped == 0


def test_two_at_once_do_no_harm(database: Database) -> None:
    for name in partitions(database):
        database.execute(f"DROP TABLE {name}")

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda _: maintain(database.url), range(2)))

    assert sorted(each.partitions_made for each in done) == [0, 8]


def test_partition_whose_last_event_is_older_than_seven_days_is_dropped(database: Database) -> None:
    (submission,) = stored(database)
    decide(database, submission)
    published(database, submission, days_ago=ARCHIVE_DAYS + 1)

    done = maintain(database.url)

    assert (done.partitions_dropped, done.carried_over) == (1, 0)
    assert partition_of(-ARCHIVE_DAYS - 1) not in partitions(database)
    assert database.count("outbox_archive") == 0


def test_partition_of_seven_days_ago_is_kept(database: Database) -> None:
    (submission,) = stored(database)
    decide(database, submission)
    published(database, submission, days_ago=ARCHIVE_DAYS)

    done = maintain(database.url)

    assert done.partitions_dropped == 0
    assert database.count("outbox_archive") == 1


def test_events_of_an_undecided_application_are_carried_over(database: Database) -> None:
    undecided, decided = stored(database, 2)
    decide(database, decided)
    published(database, undecided, days_ago=30)
    published(database, decided, days_ago=30)
    columns = "id, event_id, event_type, application_id, payload, correlation_id, traceparent, created_at"
    before = database.rows(f"SELECT {columns} FROM outbox_archive WHERE application_id = %s", undecided.id)

    done = maintain(database.url)

    assert (done.partitions_dropped, done.carried_over) == (1, 1)
    assert database.rows(f"SELECT {columns} FROM outbox_archive") == before


@pytest.mark.parametrize(("days", "left"), [(INBOX_DAYS - 1, 1), (INBOX_DAYS + 1, 0)])
def test_inbox_is_pruned_after_thirty_days(database: Database, days: int, left: int) -> None:
    remembered(database, "credit-service", days)

    done = maintain(database.url)

    assert database.count("processed_messages") == left
    assert done.inbox_pruned == 1 - left


def test_inbox_of_every_consumer_is_pruned(database: Database) -> None:
    for consumer in ("a", "credit-service", "decision-service", "é"):
        remembered(database, consumer, INBOX_DAYS + 1, rows=3)

    assert maintain(database.url).inbox_pruned == 12
    assert database.count("processed_messages") == 0


def test_inbox_row_of_an_application_that_waited_long_is_as_old_as_it_says(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.schema.retention.PRUNE_ROWS", 2)
    for days_later in (0, 20, 20, 20, 0):
        remembered(database, "credit-service", INBOX_DAYS + 10, days_later)

    done = maintain(database.url)

    assert (done.inbox_pruned, database.count("processed_messages")) == (2, 3)


def test_inbox_row_whose_id_is_ahead_of_its_time_is_kept_until_then(database: Database) -> None:
    remembered(database, "credit-service", INBOX_DAYS - 1, days_later=-10)

    assert maintain(database.url).inbox_pruned == 0


@pytest.mark.parametrize(("days", "left"), [(REPORT_DAYS - 1, 1), (REPORT_DAYS + 1, 0)])
def test_kept_reports_are_pruned_when_no_setting_could_use_them(database: Database, days: int, left: int) -> None:
    database.execute(
        "INSERT INTO bureau_reports VALUES ('local', repeat('5e', 32), 700, now() - make_interval(days => %s))", days
    )

    done = maintain(database.url)

    assert database.count("bureau_reports") == left
    assert done.bureau_reports_pruned == 1 - left


@pytest.mark.parametrize(("days", "left"), [(DIFFERENCES_DAYS - 1, 1), (DIFFERENCES_DAYS + 1, 0)])
def test_differences_of_a_shadow_are_pruned_after_90_days(database: Database, days: int, left: int) -> None:
    database.execute(
        """
        INSERT INTO policy_shadow_differences VALUES (
            gen_random_uuid(), sha256('d'), 'v2', 'v1', 'PRE_APPROVED', 'r', 'REJECTED', 's',
            now() - make_interval(days => %s)
        )
        """,
        days,
    )

    done = maintain(database.url)

    assert database.count("policy_shadow_differences") == left
    assert done.shadow_differences_pruned == 1 - left


@pytest.mark.parametrize(("ago", "left"), [("1 hour", 1), ("25 hours", 0)])
def test_claims_and_keys_are_pruned_a_day_after_they_ended(database: Database, ago: str, left: int) -> None:
    database.execute("INSERT INTO pan_claims VALUES (repeat('5e', 32), gen_random_uuid(), now() - %s::interval)", ago)
    database.execute(
        "INSERT INTO idempotency_keys "
        "VALUES (sha256('key'), sha256('request'), gen_random_uuid(), 'r', now() - %s::interval)",
        ago,
    )

    done = maintain(database.url)

    assert (database.count("pan_claims"), database.count("idempotency_keys")) == (left, left)
    assert (done.claims_pruned, done.keys_pruned) == (1 - left, 1 - left)


@pytest.mark.parametrize(("days", "left"), [(RESOLVED_DAYS - 1, 1), (RESOLVED_DAYS + 1, 0)])
def test_resolution_outlives_its_dead_letter_by_far(database: Database, days: int, left: int) -> None:
    database.execute(
        """
        INSERT INTO resolved_dead_letters (
            topic, partition, "offset", written_at, action, error_kind, reason, resolved_by, resolved_at
        )
        SELECT 't', 0, 0, now() - interval '200 days', 'discarded', 'k', 'r', 's', now() - make_interval(days => %s)
        """,
        days,
    )

    done = maintain(database.url)

    assert database.count("resolved_dead_letters") == left
    assert done.dead_letters_pruned == 1 - left


def test_index_by_age_knows_the_newest_pages_after_maintenance(database: Database) -> None:
    database.execute(
        "INSERT INTO processed_messages "
        "SELECT 'c', gen_random_uuid(), sha256('d'), now(), gen_random_uuid() FROM generate_series(1, 50000)"
    )

    maintain(database.url)

    assert database.value("SELECT brin_summarize_new_values('processed_messages_age')") == 0


def test_more_rows_than_one_statement_prunes_are_all_pruned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prequal.schema.retention.PRUNE_ROWS", 10)
    monkeypatch.setattr("prequal.schema.retention.PRUNE_PAGES", 1)
    remembered(database, "credit-service", INBOX_DAYS, rows=35)
    fill(database, "pan_claims", 500)

    done = maintain(database.url)

    assert (done.inbox_pruned, done.claims_pruned) == (35, 500)
    assert (database.count("processed_messages"), database.count("pan_claims")) == (0, 0)


@pytest.mark.parametrize("table", OLD_ROWS)
def test_pruning_twice_the_rows_touches_twice_the_pages(
    database: Database, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setattr("prequal.schema.retention.PRUNE_ROWS", 10)
    monkeypatch.setattr("prequal.schema.retention.PRUNE_PAGES", 1)
    database.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")

    def pages_touched_by(rows: int) -> int:
        database.execute(f"TRUNCATE {table}")
        fill(database, table, rows)
        before = pages_touched(database, table)
        maintain(database.url)
        assert database.count(table) == 0
        return pages_touched(database, table) - before

    assert pages_touched_by(8_000) < 2.5 * pages_touched_by(4_000)


def test_records_and_applications_are_never_pruned(database: Database) -> None:
    (submission,) = stored(database)
    database.execute("UPDATE applications SET created_at = '2000-01-01'")
    database.execute(
        "INSERT INTO audit_log (application_id, service, action, occurred_at) VALUES (%s, 's', 'READ', '2000-01-01')",
        submission.id,
    )

    maintain(database.url)

    assert (database.count("applications"), database.count("audit_log")) == (1, 1)


def test_database_that_is_not_migrated_is_one_sentence(empty_database: Database) -> None:
    with pytest.raises(Misconfigured, match="prequal migrate"):
        maintain(empty_database.url)


def test_database_that_is_away_is_said_to_be(database: Database) -> None:
    with pytest.raises(Transient):
        maintain(f"postgresql://u:p@127.0.0.1:{free_port()}/x")


def test_partition_that_is_being_read_for_long_is_left_for_the_next_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (submission,) = stored(database)
    decide(database, submission)
    published(database, submission, days_ago=30)

    monkeypatch.setattr(locks, "RETRY_SECONDS", 0)
    with database.connect() as reader:
        reader.execute("SELECT * FROM outbox_archive")

        with pytest.raises(Transient, match="run again"):
            maintain(database.url)

        reader.rollback()
    assert maintain(database.url).partitions_dropped == 1
