from confluent_kafka import KafkaError

from prequal.messaging.delivery import Deliveries, DeliveryReport, DeliveryReports, classify
from prequal.messaging.outbox import OutboxRow
from prequal.publisher.in_flight import InFlight
from tests.builders import APPLICATION_ID

TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
NOT_ALLOWED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")
NO_TOPIC = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "no topic")
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT, "timed out")


def rows(*ids: int) -> list[OutboxRow]:
    return [OutboxRow(each, "topic", APPLICATION_ID, "type", APPLICATION_ID, "{}", None, None) for each in ids]


def ids(selected: list[OutboxRow]) -> list[int]:
    return [row.id for row in selected]


def refused_in_a_batch(*candidates: int) -> InFlight:
    in_flight = InFlight(0)
    in_flight.resolve([], Deliveries(to_isolate=list(candidates)))
    return in_flight


def test_reports_are_taken_once_and_in_order() -> None:
    reports = DeliveryReports()
    for number in (1, 2, 3):
        reports.add(DeliveryReport(number, None))

    taken = [reports.take(), reports.take()]

    assert taken == [[DeliveryReport(1, None), DeliveryReport(2, None), DeliveryReport(3, None)], []]


def test_reports_are_true_while_there_are_some_to_take() -> None:
    reports = DeliveryReports()
    before = bool(reports)
    reports.add(DeliveryReport(1, None))

    assert (before, bool(reports)) == (False, True)


def test_each_report_has_one_consequence() -> None:
    reported = classify(
        [
            DeliveryReport(1, None),
            DeliveryReport(2, NO_TOPIC),
            DeliveryReport(3, NOT_ALLOWED),
            DeliveryReport(4, TOO_LARGE),
            DeliveryReport(5, TIMED_OUT),
        ],
        (),
    )

    assert reported.acknowledged == [1]
    assert reported.unknown_topic == [(2, "no topic")]
    assert reported.refused == [(3, "not allowed")]
    assert reported.to_isolate == [4]
    assert reported.done == [1, 2, 3]
    assert reported.errors == [NO_TOPIC, NOT_ALLOWED, TOO_LARGE, TIMED_OUT]


def test_refusal_of_a_batch_counts_only_for_a_row_that_was_published_alone() -> None:
    reports = [DeliveryReport(1, TOO_LARGE), DeliveryReport(2, TOO_LARGE)]

    assert classify(reports, {2}).refused == [(2, "too large")]
    assert classify(reports, {2}).to_isolate == [1]


def test_reports_that_could_not_be_written_mean_the_same_the_next_time() -> None:
    reports, in_flight = [DeliveryReport(1, TOO_LARGE)], InFlight(0)

    assert classify(reports, in_flight.to_isolate) == classify(reports, in_flight.to_isolate)


def test_broker_is_to_blame_when_no_row_was_taken_or_refused() -> None:
    assert classify([DeliveryReport(1, TIMED_OUT)], ()).blame_broker
    assert not classify([DeliveryReport(1, TIMED_OUT), DeliveryReport(2, None)], ()).blame_broker
    assert not classify([DeliveryReport(1, TOO_LARGE)], ()).blame_broker


def test_retry_candidate_is_published_alone_every_other_turn() -> None:
    in_flight = refused_in_a_batch(2)

    turns = [ids(in_flight.select(rows(1, 2, 3))) for _ in range(3)]

    assert turns == [[2], [1, 3], [2]]


def test_retry_candidate_waits_until_nothing_is_in_flight() -> None:
    in_flight = refused_in_a_batch(2)
    (other,) = rows(9)
    in_flight.add(other)
    while_busy = ids(in_flight.select(rows(2)))

    in_flight.resolve([DeliveryReport(9, None)], Deliveries(acknowledged=[9]))

    assert (while_busy, ids(in_flight.select(rows(2)))) == ([], [2])


def test_retry_candidate_that_was_acknowledged_is_a_row_like_any_other() -> None:
    in_flight = refused_in_a_batch(2)

    in_flight.resolve([DeliveryReport(2, None)], Deliveries(acknowledged=[2]))

    assert ids(in_flight.select(rows(1, 2))) == [1, 2]


def test_rows_of_a_dead_producer_leave_flight_unless_reported() -> None:
    in_flight = InFlight(0)
    for row in rows(1, 2):
        in_flight.add(row)

    in_flight.follow(1, [DeliveryReport(2, None)])

    assert in_flight.ids == [2]
