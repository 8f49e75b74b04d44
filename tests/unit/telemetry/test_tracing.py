"""`telemetry.tracing`: who is traced, and that it is not there at all without an endpoint."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from harness.waiting import eventually
from prequal.core.errors import Misconfigured
from prequal.core.settings import PublisherSettings, load
from prequal.telemetry import otlp_exporter, tracing
from tests.support.otlp import Receiver, a_receiver

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PAN = "ABCDE1234F"


def settings(endpoint: str, ratio: float = 1) -> PublisherSettings:
    return load(
        PublisherSettings,
        database_url="postgresql://u@127.0.0.1/d",
        kafka_bootstrap_servers="127.0.0.1:1",
        otel_exporter_otlp_endpoint=endpoint,
        otel_traces_sampler_arg=ratio,
    )


@pytest.fixture(autouse=True)
def nobody_sends_any_more() -> Iterator[None]:
    """A recorder's thread that still tries would draw its pauses by chance beside the next tests."""
    yield
    for thread in threading.enumerate():
        if "Otel" in thread.name:
            thread.join(10)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """An endpoint, and this process sending to it."""
    monkeypatch.setattr(tracing, "_recorder", None)
    monkeypatch.setattr(otlp_exporter, "LAST_SECONDS", 30.0)  # however long the machine stands still
    with a_receiver() as receiver:
        tracing.start(settings(receiver.url))
        yield receiver
        tracing.stop()


@pytest.mark.parametrize(
    ("service", "also"),
    [
        # FastAPI imports OpenTelemetry's names by itself; without a recorder they do nothing.
        ("prequal.api.service", ()),
        ("prequal.credit.service", ("opentelemetry",)),
        ("prequal.decision.service", ("opentelemetry",)),
        ("prequal.publisher.service", ("opentelemetry",)),
    ],
)
def test_without_an_endpoint_nothing_of_opentelemetry_is_imported(service: str, also: tuple[str, ...]) -> None:
    program = f"""
import sys
import {service}
from prequal.telemetry import tracing
from prequal.core.settings import PublisherSettings
tracing.start(PublisherSettings(database_url="postgresql://u@h/d", kafka_bootstrap_servers="h:1"))
ours = ("opentelemetry.sdk", "opentelemetry.exporter", "google", "requests", *{also})
print([name for name in sys.modules if name.startswith(ours)])
"""

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


@pytest.mark.parametrize("parent", [None, f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00", "00-x"])
def test_without_an_endpoint_a_trace_is_handed_on_as_it_is(parent: str | None) -> None:
    span = tracing.begin("POST /applications", "SERVER", parent, root=True)
    span.note({"a": 1})
    span.end()

    assert span.traceparent == parent
    assert not tracing.is_on()
    assert tracing.stop()


@pytest.mark.parametrize(
    "parent",
    [
        None,
        f"00-{TRACE}-{CALLER}-00",
        f"00-{TRACE}-{CALLER}-02",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        "00-x",
    ],
)
def test_a_step_of_a_caller_that_samples_nothing_is_not_recorded(receiver: Receiver, parent: str | None) -> None:
    span = tracing.begin("process", "CONSUMER", parent)

    assert span.traceparent == parent


@pytest.mark.usefixtures("receiver")
def test_a_sampled_step_hands_its_own_place_on() -> None:
    span = tracing.begin("process", "CONSUMER", f"00-{TRACE}-{CALLER}-03")

    assert span.traceparent is not None
    assert tracing.TRACEPARENT.fullmatch(span.traceparent)
    assert span.traceparent.startswith(f"00-{TRACE}-")
    assert CALLER not in span.traceparent


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.5, 350, 650), (1.0, 1000, 1000)])
def test_the_share_of_traces_that_begin_here_is_the_settings(
    ratio: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_recorder", None)
    with a_receiver() as receiver:
        tracing.start(settings(receiver.url, ratio))
        begun = [tracing.begin("POST /applications", "SERVER", None, root=True) for _ in range(1000)]
        tracing.stop()

    assert least <= sum(span.traceparent is not None for span in begun) <= most


def test_no_attribute_shows_a_pan(receiver: Receiver) -> None:
    span = tracing.begin("process", "CONSUMER", f"00-{TRACE}-{CALLER}-01")
    span.note({"prequal.request_id": f"x{PAN}y"})
    span.end(f"Bad{PAN}")

    tracing.stop()

    (seen,) = receiver.spans
    assert seen.attributes["prequal.request_id"] == "xXXXXX1234Fy"
    assert PAN.encode() not in b"".join(receiver.bodies)


def test_a_batch_that_fails_says_what_kind_of_error_it_was(receiver: Receiver) -> None:
    with pytest.raises(KeyError), tracing.batch("write", [f"00-{TRACE}-{CALLER}-01", None]):
        raise KeyError(PAN)

    tracing.stop()

    (seen,) = receiver.spans
    assert (seen.failed, seen.links) == (True, frozenset({(TRACE, CALLER)}))
    assert seen.attributes == {"messaging.batch.message_count": 2, "error.type": "KeyError"}


@pytest.mark.usefixtures("receiver")
def test_a_batch_without_a_sampled_member_is_not_recorded(receiver: Receiver) -> None:
    with tracing.batch("write", [f"00-{TRACE}-{CALLER}-00", None]):
        pass

    tracing.stop()

    assert receiver.spans == []


IN_ONE_REQUEST = 512
"""Spans that wait no more, because they are being sent."""


def test_more_than_the_queue_holds_is_dropped_and_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_recorder", None)
    with a_receiver(hangs=True) as receiver:
        tracing.start(settings(receiver.url))
        for _ in range(3 * otlp_exporter.WAITING_MAX):
            tracing.begin("POST /applications", "SERVER", None, root=True).end()

        assert tracing.stop() is False
        receiver.answers.set()
        eventually(lambda: receiver.spans)

    # On a slow machine the first request is given up before the last span is there, and a second one is sent.
    assert len(receiver.spans) <= otlp_exporter.WAITING_MAX + 2 * IN_ONE_REQUEST


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "http://h:99999", "http://h:x"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(Misconfigured, match="OTEL_EXPORTER_OTLP_ENDPOINT must look like http://host:4318"):
        settings(endpoint)
