import re

import prometheus_client
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from prequal.kernel import metrics

PUBLIC = [
    "http_requests_total",
    "http_request_duration_seconds",
    "http_requests_in_progress",
    "kafka_messages_published_total",
    "kafka_messages_consumed_total",
    "kafka_consumer_lag",
    "kafka_publish_errors_total",
    "db_connections_active",
    "db_connections_idle",
    "db_query_duration_seconds",
    "applications_submitted_total",
    "applications_by_status_total",
    "cibil_score_distribution",
    "outbox_depth",
    "outbox_oldest_age_seconds",
    "dead_letters_total",
    "retries_total",
    "decision_duration_seconds",
    "oldest_undecided_age_seconds",
    "pan_decrypts_total",
]


def ours() -> dict[str, object]:
    return {name: value for name, value in vars(metrics).items() if hasattr(value, "_labelnames")}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there(name: str) -> None:
    families = {family.name for family in REGISTRY.collect()}

    assert name.removesuffix("_total") in families


def test_every_sample_carries_the_service() -> None:
    text = prometheus_client.generate_latest(metrics.Labelled("credit-service")).decode()

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert samples
    assert {sample.labels["service"] for sample in samples} == {"credit-service"}


def test_a_samples_own_labels_and_value_stay() -> None:
    metrics.CONSUMER_LAG.labels("a topic", "2").set(41)

    families = {family.name: family for family in metrics.Labelled("credit-service").collect()}

    lag = families["kafka_consumer_lag"].samples
    assert [
        s.value for s in lag if s.labels == {"topic": "a topic", "partition": "2", "service": "credit-service"}
    ] == [41]


def test_no_label_could_carry_an_id_or_personal_data() -> None:
    allowed = {"method", "route", "status", "topic", "error", "outcome", "partition", "reason", "what", "query"}

    labels = {label for metric in ours().values() for label in metric._labelnames}  # type: ignore[attr-defined]

    assert labels <= allowed | {"loan_type", "dependency", "breaker", "use"}


def test_every_metric_has_a_meaning_in_words_and_a_sane_name() -> None:
    families = [family for metric in ours().values() for family in metric.collect()]  # type: ignore[attr-defined]

    assert len(families) >= len(PUBLIC)
    assert all(family.documentation.endswith(".") for family in families)
    assert all(re.fullmatch(r"[a-z_]+", family.name) for family in families)


def test_scores_are_counted_in_bands_that_tell_the_minimum_apart() -> None:
    assert {300, 650, 900} <= set(metrics.SCORES)
