"""A past for a database: decided applications of 30 days, with what lives beside them for a day.

Invariant: the applications are decided by the packaged policy, so that a backtest of it finds none stored otherwise.
"""

import random
from collections.abc import Iterator

import psycopg

from prequal.domain.application import LoanType
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts

DAYS = 30
SAMPLE_ROWS = 50_000
"""So many different decisions are made by the policy; a longer past has each of them several times."""

SAMPLE = """
    CREATE TEMPORARY TABLE sample (
        n bigint, monthly_income_inr numeric, loan_amount_inr numeric, loan_type text, status text, cibil_score integer,
        decision_rule text, decision_measures jsonb, policy_version text, policy_hash bytea
    )
"""
APPLICATIONS = """
    INSERT INTO applications (
        id, created_at, updated_at, pan_number_encrypted, pan_number_hash, pan_number_masked, version,
        monthly_income_inr, loan_amount_inr, loan_type, status, cibil_score, decision_rule, decision_measures,
        policy_version, policy_hash, client
    )
    SELECT uuidv7(at - clock_timestamp()), at, at, %(encrypted)s, lpad(to_hex(number), 64, '0'),
           'XXXXX' || lpad((number %% 10000)::text, 4, '0') || CASE WHEN number %% 100000 = 7 THEN 'Z' ELSE 'F' END, 2,
           monthly_income_inr, loan_amount_inr, loan_type, status, cibil_score, decision_rule, decision_measures,
           policy_version, policy_hash, CASE WHEN number %% 100000 = 77 THEN 'rarebank' ELSE 'local' END
    FROM sample,
         LATERAL (SELECT n + %(before)s AS number) AS counted,
         LATERAL (SELECT now() - interval '1 day' * %(days)s * (1 - number::float8 / %(all)s) AS at) AS timed
    WHERE number < %(all)s
    ORDER BY n
"""
AS_DECIDED = "ALTER TABLE applications SET (fillfactor = 60)"
"""So ten rows come on a page, as when they were accepted and then decided there."""
AS_ACCEPTED = "ALTER TABLE applications SET (fillfactor = 30)"
OF_THE_LAST_DAY = (
    """
    INSERT INTO pan_claims (pan_number_hash, application_id, expires_at)
    SELECT pan_number_hash, id, created_at + interval '24 hours' FROM applications
    WHERE created_at > now() - interval '24 hours' AND status <> 'REJECTED'
    """,
    """
    INSERT INTO processed_messages (consumer, event_id, digest, application_id, processed_at)
    SELECT consumer, gen_random_uuid(), decode(pan_number_hash, 'hex'), id, created_at
    FROM applications, (VALUES ('credit-service'), ('decision-service')) AS of_each (consumer)
    WHERE created_at > now() - interval '24 hours'
    """,
    """
    INSERT INTO outbox_archive (id, topic, event_id, event_type, application_id, payload, correlation_id, created_at)
    SELECT row_number() OVER (), 'loan_applications_submitted', gen_random_uuid(), 'ApplicationSubmitted', id,
           convert_to('{}', 'UTF8'), id::text || ' asked', created_at
    FROM applications WHERE created_at > now() - interval '24 hours'
    """,
)
OF_ALL_DAYS = (
    """
    INSERT INTO audit_log (application_id, service, action, request_id)
    SELECT id, service, action, id::text
    FROM applications, (VALUES ('prequal-api', 'WRITE'), ('credit-service', 'READ')) AS of_each (service, action)
    """,
    """
    INSERT INTO review_cases (application_id, opened_at, target_at, loan_amount_inr, people_needed)
    SELECT id, updated_at, updated_at + interval '8 hours', loan_amount_inr, 1
    FROM applications WHERE status = 'MANUAL_REVIEW' AND created_at > now() - interval '2 days'
    """,
)


def decided(number: int) -> Iterator[tuple[object, ...]]:
    """Amounts, scores and what the policy makes of them; the same ones each time."""
    chance, policy = random.Random(15), packaged.current()
    for n in range(number):
        score = chance.choice([None, *range(600, 800)])
        income, amount = chance.randint(1_000_000, 20_000_000), chance.randint(5_000_000, 900_000_000)
        loan_type = chance.choice([*LoanType])
        decision = policy.decide(Facts(score, income, amount, loan_type))
        money = f"{income // 100}.{income % 100:02d}", f"{amount // 100}.{amount % 100:02d}"
        yield (
            n, *money, loan_type.value, decision.status.value, score, decision.code, decision.measures_json,
            policy.version, policy.digest,
        )  # fmt: skip


def fill_applications(database_url: str, number: int) -> None:
    """Put so many applications, and nothing else, into an empty database."""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(SAMPLE)
        with cursor.copy("COPY sample FROM STDIN") as copy:
            for row in decided(min(number, SAMPLE_ROWS)):
                copy.write_row(row)
        cursor.execute(AS_DECIDED)
        for before in range(0, number, SAMPLE_ROWS):
            cursor.execute(APPLICATIONS, {"encrypted": bytes(47), "before": before, "days": DAYS, "all": number})
        cursor.execute(AS_ACCEPTED)
    _vacuum(database_url)


def fill(database_url: str, number: int) -> None:
    """Put so many applications into an empty database, and what belongs to them."""
    fill_applications(database_url, number)
    with psycopg.connect(database_url) as connection:
        for statement in (*OF_THE_LAST_DAY, *OF_ALL_DAYS):
            connection.execute(statement)
    _vacuum(database_url)


def _vacuum(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
