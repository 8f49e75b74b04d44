import re
from typing import Any

import prometheus_client
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from prequal.core.topology import Service
from prequal.telemetry import metrics
from prequal.telemetry.collected_gauge import CollectedGauge
from prequal.telemetry.shown import SHOWN, Labelled

PUBLIC = {
    "http_requests_total": Service.API,
    "http_request_duration_seconds": Service.API,
    "http_requests_in_progress": Service.API,
    "kafka_messages_published_total": Service.PUBLISHER,
    "kafka_messages_consumed_total": Service.CREDIT,
    "kafka_consumer_lag": Service.PUBLISHER,
    "kafka_publish_errors_total": Service.PUBLISHER,
    "db_connections_active": Service.API,
    "db_connections_idle": Service.API,
    "db_query_duration_seconds": Service.API,
    "applications_submitted_total": Service.API,
    "applications_by_status_total": Service.DECISION,
    "cibil_score_distribution": Service.CREDIT,
    "outbox_depth": Service.PUBLISHER,
    "outbox_oldest_age_seconds": Service.PUBLISHER,
    "dead_letters_total": Service.CREDIT,
    "breaker_state": Service.API,
    "retries_total": Service.API,
    "decision_duration_seconds": Service.DECISION,
    "oldest_undecided_age_seconds": Service.PUBLISHER,
    "pan_decrypts_total": Service.CREDIT,
}


def declared() -> dict[str, Any]:
    return {name: value for name, value in vars(metrics).items() if hasattr(value, "_labelnames")}


def families(exporter: Service) -> dict[str, Metric]:
    return {family.name: family for family in Labelled(exporter, exporter.value).collect()}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_metric_is_shown_by_its_process(name: str) -> None:
    assert name.removesuffix("_total") in families(PUBLIC[name])


def test_every_declared_metric_is_shown_by_a_process() -> None:
    assert {id(metric) for metric in declared().values()} == {
        id(metric) for shown in SHOWN.values() for metric in shown
    }


@pytest.mark.parametrize("exporter", Service)
def test_every_sample_carries_the_service(exporter: Service) -> None:
    labelled: Any = Labelled(exporter, "a name of its own")
    text = prometheus_client.generate_latest(labelled).decode()

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert samples
    assert {sample.labels["service"] for sample in samples} == {"a name of its own"}


@pytest.mark.parametrize("exporter", Service)
def test_series_that_can_be_foreseen_exist_from_the_start(exporter: Service) -> None:
    labelled = families(exporter)

    for metric, foreseen in SHOWN[exporter].items():
        name = next(iter(metric.collect())).name
        assert isinstance(metric, CollectedGauge) or labelled[name].samples, name
        for values in foreseen:
            assert any(set(values) <= set(sample.labels.values()) for sample in labelled[name].samples), name


def test_process_shows_only_its_own_metrics() -> None:
    assert "cibil_score_distribution" not in families(Service.PUBLISHER)
    assert "outbox_depth" not in families(Service.API)
    assert "process_open_fds" in families(Service.DECISION)


def test_collected_gauge_is_shown_only_while_its_value_is_known() -> None:
    gauge = CollectedGauge("things_waiting", "Things that wait.", ["topic"])

    before = next(iter(gauge.collect())).samples
    gauge.set({("one",): 3, ("other",): 4})
    known = {sample.labels["topic"]: sample.value for sample in next(iter(gauge.collect())).samples}
    gauge.set({("other",): 5})
    later = {sample.labels["topic"]: sample.value for sample in next(iter(gauge.collect())).samples}
    gauge.clear()

    assert (before, known, later) == ([], {"one": 3, "other": 4}, {"other": 5})
    assert next(iter(gauge.collect())).samples == []


def test_no_label_could_carry_an_id_or_personal_data() -> None:
    allowed = {
        "method",
        "route",
        "status",
        "topic",
        "error",
        "outcome",
        "partition",
        "reason",
        "operation",
        "query",
        "hop",
    }

    labels = {label for metric in declared().values() for label in metric._labelnames}

    assert labels <= allowed | {
        "client",
        "loan_type",
        "dependency",
        "use",
        "breaker",
        "group",
        "version",
        "optimized",
        "role",
    }


def test_every_metric_has_a_documentation_and_a_valid_name() -> None:
    found = [family for metric in declared().values() for family in metric.collect()]

    assert len({family.name for family in found}) == len(found) >= len(PUBLIC)
    assert all(family.documentation.endswith(".") for family in found)
    assert all(re.fullmatch(r"[a-z_]+", family.name) for family in found)


def test_one_band_of_scores_ends_with_the_last_that_is_rejected() -> None:
    assert 649 in metrics.SCORES
    assert 650 not in metrics.SCORES


def test_bounds_of_the_service_levels_are_among_the_buckets() -> None:
    assert {0.25, 2} <= set(metrics.SECONDS)
