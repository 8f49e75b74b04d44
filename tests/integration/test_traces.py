"""Traces, as a real OTLP endpoint gets them from the real services; and what an endpoint that is away may not cost."""

from functools import partial

import httpx

from harness.applications import a_pan, an_application, drawn
from harness.broker import REPORTED, SUBMITTED, Broker, RawMessage
from harness.database import Database
from harness.load import Load, applications, assert_all_is_well
from harness.ports import free_port
from harness.system import System
from harness.waiting import eventually
from tests.conftest import SystemMaker
from tests.support.otlp import Place, Receiver, Span, a_receiver

HOPS = {
    "POST /applications": ("prequal-api", "SERVER"),
    f"publish {SUBMITTED}": ("prequal-api", "PRODUCER"),
    f"process {SUBMITTED}": ("credit-service", "CONSUMER"),
    f"publish {REPORTED}": ("credit-service", "PRODUCER"),
    f"process {REPORTED}": ("decision-service", "CONSUMER"),
}
"""An application's way: the spans of its trace, each the parent of the next."""

BATCHES = {
    "write applications": "POST /applications",
    f"archive {SUBMITTED}": f"publish {SUBMITTED}",
    f"handle {SUBMITTED}": f"process {SUBMITTED}",
    f"archive {REPORTED}": f"publish {REPORTED}",
    f"handle {REPORTED}": f"process {REPORTED}",
}
"""What is done for many at once, and which span of each it is linked to."""

WRITERS = ("api", "credit", "decision")
"""Without the publisher, which publishes what is older than a second too, where its writer stands still meanwhile."""

SENDERS = {"prequal-api", "publisher", "credit-service", "decision-service"}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def post(system: System, **headers: str) -> str:
    answer = httpx.post(
        f"{system.api.url}/applications", json=an_application(), headers=headers, timeout=10, trust_env=False
    )
    application_id: str = answer.json()["application_id"]
    return application_id


def decided(system: System, application_id: str) -> bool:
    return bool(system.api.get(f"/applications/{application_id}/status").json()["status"] != "PENDING")


def trace_of(receiver: Receiver, application_id: str) -> dict[str, Span]:
    """The whole trace of an application, by its spans' names."""

    def whole() -> dict[str, Span] | None:
        roots = receiver.named("POST /applications")
        ours = [span for span in roots if span.attributes.get("prequal.application_id") == application_id]
        found = receiver.of(ours[0].place[0]) if ours else {}
        return found if len(found) >= len(HOPS) else None

    found = eventually(whole)
    assert found is not None
    return found


def assert_whole(trace: dict[str, Span], application_id: str) -> None:
    """The spans are those of an application's way, each the child of the one before, and say how it went."""
    spans = [trace[name] for name in HOPS]
    assert {span.name: (span.service, span.kind) for span in trace.values()} == HOPS
    assert [span.parent for span in spans] == ["", *(span.place[1] for span in spans[:-1])]
    assert {trace[name].attributes["prequal.application_id"] for name in trace if not name.startswith("publish")} == {
        application_id
    }
    assert spans[0].attributes["http.response.status_code"] == 202
    assert spans[-1].attributes["prequal.outcome"] == "done"
    assert not any(span.failed for span in spans)
    assert [span.nanoseconds[0] for span in spans] == sorted(span.nanoseconds[0] for span in spans)


def test_an_application_is_one_trace_and_what_is_done_for_many_another_linked_to_each(
    a_system_with: SystemMaker, database: Database, broker: Broker
) -> None:
    with a_receiver() as receiver:
        system = a_system_with(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_TRACES_SAMPLER_ARG="1").start(*WRITERS)
        load = Load(system.api.url)

        load.post(applications(60))

        accepted = load.wait()
        load.close()
        assert_all_is_well(database, broker, accepted)
        traces = {application_id: trace_of(receiver, application_id) for application_id in accepted}
        for batch, member in BATCHES.items():
            eventually(partial(all_linked, receiver, batch, {trace[member].place for trace in traces.values()}))
    for application_id, trace in traces.items():
        assert_whole(trace, application_id)
    batches = [span for name in BATCHES for span in receiver.named(name)]
    assert all(span.parent == "" and span.place[0] not in {trace_id for trace_id, _ in span.links} for span in batches)
    assert all(span.attributes["messaging.batch.message_count"] >= len(span.links) > 0 for span in batches)  # type: ignore[operator]
    assert max(len(span.links) for span in batches) > 1
    assert len(receiver.bodies) > 0
    assert not [pan for pan in drawn for body in receiver.bodies if pan.encode() in body]


def all_linked(receiver: Receiver, batch: str, members: set[Place]) -> bool:
    return {link for span in receiver.named(batch) for link in span.links} == members


def test_the_callers_trace_goes_on_and_its_word_on_sampling_counts(
    a_system_with: SystemMaker, database: Database
) -> None:
    with a_receiver() as receiver:
        system = a_system_with(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_TRACES_SAMPLER_ARG="0").start(*WRITERS)

        sampled = post(system, traceparent=f"00-{TRACE}-{CALLER}-01")
        others = {post(system, traceparent=f"00-{TRACE}-{CALLER}-00"): f"00-{TRACE}-{CALLER}-00", post(system): None}

        trace = trace_of(receiver, sampled)
        eventually(lambda: all(decided(system, each) for each in others))
        system.stop()  # and with that everything that was recorded is sent
    assert trace["POST /applications"].parent == CALLER
    assert {span.place[0] for span in trace.values()} == {TRACE}
    assert len([span for span in receiver.spans if span.name in HOPS]) == len(HOPS)
    assert {link for span in receiver.spans for link in span.links} <= {span.place for span in trace.values()}
    for application_id, traceparent in others.items():
        archived = database.rows("SELECT traceparent FROM outbox_archive WHERE application_id = %s", application_id)
        assert [row["traceparent"] for row in archived] == [traceparent, traceparent]


def test_a_dead_letter_ends_its_span_with_the_kind_of_its_error(a_system_with: SystemMaker, broker: Broker) -> None:
    with a_receiver() as receiver:
        a_system_with(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url).start("credit")

        headers: list[tuple[str, str | bytes | None]] = [("traceparent", f"00-{TRACE}-{CALLER}-01")]
        broker.publish(SUBMITTED, [RawMessage(f'{{"pan_number": "{a_pan()}"'.encode(), headers=headers)])

        eventually(lambda: receiver.of(TRACE))
        (span,) = receiver.of(TRACE).values()
    assert (span.name, span.parent, span.failed) == (f"process {SUBMITTED}", CALLER, True)
    assert span.attributes["error.type"] == "malformed_json"
    assert not [pan for pan in drawn for body in receiver.bodies if pan.encode() in body]


def test_an_endpoint_that_is_away_is_said_once_and_costs_nothing_but_spans(
    a_system_with: SystemMaker, database: Database, broker: Broker
) -> None:
    port = free_port()
    system = a_system_with(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_TRACES_SAMPLER_ARG="1", PUBLISH_OWN_EVENTS="false"
    ).start()
    services = (system.api, system.publisher, system.credit, system.decision)
    load = Load(system.api.url)

    def assert_goes_on() -> None:
        load.post(applications(40))
        assert_all_is_well(database, broker, load.wait())
        assert [service.ready()[0] for service in services] == [200] * 4

    assert_goes_on()
    eventually(lambda: all(service.logged("traces_not_sent") for service in services))
    with a_receiver(port, status=503) as too_busy:
        assert_goes_on()
        eventually(lambda: too_busy.senders == SENDERS, 30)
    with a_receiver(port, hangs=True) as hanging:
        assert_goes_on()
        eventually(lambda: hanging.senders == SENDERS, 30)
        load.close()
        assert [len(service.logged("traces_not_sent")) for service in services] == [1] * 4
        assert [service.end() for service in services] == [0] * 4


def test_an_endpoint_that_comes_back_gets_traces_again(a_system_with: SystemMaker) -> None:
    port = free_port()
    system = a_system_with(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_TRACES_SAMPLER_ARG="1").start()
    post(system)
    eventually(lambda: system.api.logged("traces_not_sent"))

    with a_receiver(port) as receiver:
        trace_of(receiver, post(system))

        (said,) = eventually(lambda: system.api.logged("traces_sent_again")) or [{}]
    assert said["at_least_lost"] > 0
