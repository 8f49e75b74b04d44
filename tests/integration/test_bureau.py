"""credit-service and a bureau that does not answer at once: who waits for it, and who does not."""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from harness.broker import SUBMITTED, SUBMITTED_DLQ, Broker
from harness.database import Database
from harness.ports import free_port
from harness.waiting import soon
from prequal.bureau import simulator
from prequal.core.circuit_breaker import State
from prequal.credit.bureau import Score
from prequal.credit.http_bureau import HttpBureau
from prequal.domain.events import EventType
from prequal.domain.pan import Pan
from prequal.messaging import consumer
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted
from prequal.postgres import bureau_calls
from prequal.postgres.connections import Connection
from tests.support.bureau import Requests, a_bureau, asking, at_most, serving
from tests.support.consumers import POLL_SECONDS, assessing
from tests.support.submissions import Submission, a_submission, stored

SLOW = "SANDB0300A"


class SlowBureau:
    """Knows every score at once, but one person's only when the test says so."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Score] = asyncio.get_running_loop().create_future()

    def ask(self, _: ApplicationSubmitted, pan: Pan) -> Score | asyncio.Future[Score]:
        return self.answer if pan == Pan(SLOW) else 700

    async def close(self) -> None:
        self.answer.cancel()


def reported(database: Database) -> set[str]:
    return {str(row["application_id"]) for row in database.rows("SELECT application_id FROM outbox_events")}


def reports_of(database: Database, submission: Submission) -> list[Any]:
    query = "SELECT payload FROM outbox_events WHERE application_id = %s"
    return [json.loads(row["payload"]) for row in database.rows(query, submission.id)]


def ids(*submissions: Submission) -> set[str]:
    return {str(each.id) for each in submissions}


async def test_late_score_delays_its_own_application_alone_and_keeps_its_offset(
    database: Database, broker: Broker
) -> None:
    (slow,) = stored(database, pan=SLOW)
    others = stored(database, 20)
    broker.publish(SUBMITTED, [each.submitted() for each in (slow, *others)])
    bureau = SlowBureau()

    async with assessing(database, broker, bureau=bureau) as consuming:
        await soon(lambda: reported(database) == ids(*others))
        held = not consuming.all_handled()
        bureau.answer.set_result(300)
        await soon(consuming.all_handled)

    assert held
    assert reported(database) == ids(slow, *others)
    assert [report["challenge_draw"] for report in reports_of(database, slow)] == [slow.challenge_draw]
    assert len(database.rows("SELECT FROM audit_log WHERE application_id = %s", slow.id)) == 1


async def test_event_that_comes_again_while_its_score_is_awaited_is_a_duplicate(
    database: Database, broker: Broker
) -> None:
    (slow,) = stored(database, pan=SLOW)
    broker.publish(SUBMITTED, [slow.submitted(), slow.submitted()])
    bureau = SlowBureau()

    async with assessing(database, broker, bureau=bureau) as consuming:
        await soon(lambda: consuming.consumer._retries.awaiting == 2)
        bureau.answer.set_result(300)
        await soon(consuming.all_handled)

    assert database.count("outbox_events") == 1


async def test_late_score_that_holds_many_back_is_postponed_and_comes_with_its_next_event(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "HELD_BACK_MAX", 10)
    monkeypatch.setattr(consumer, "LATE_SECONDS", 0.5)
    (slow,) = stored(database, pan=SLOW)
    others = stored(database, 40)
    broker.publish(
        SUBMITTED, [slow.submitted(), *(replace(each.submitted(), key=str(slow.id).encode()) for each in others)]
    )
    bureau = SlowBureau()

    async with assessing(database, broker, bureau=bureau) as consuming:
        await soon(consuming.all_handled)
        postponed, bureau.answer = reported(database), asyncio.get_running_loop().create_future()
        bureau.answer.set_result(300)
        broker.publish(SUBMITTED, [slow.submitted()])
        await soon(lambda: reported(database) == ids(slow, *others))

    assert postponed == ids(*others)
    assert broker.published(SUBMITTED_DLQ) == 0


async def test_nothing_is_postponed_while_no_score_comes(
    database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "HELD_BACK_MAX", 0)
    monkeypatch.setattr(consumer, "LATE_SECONDS", 0.0)
    waiting = stored(database, 20, pan=SLOW)
    broker.publish(SUBMITTED, [each.submitted() for each in waiting])
    bureau = SlowBureau()

    async with assessing(database, broker, bureau=bureau) as consuming:
        await soon(lambda: consuming.consumer._retries.awaiting == len(waiting))
        await asyncio.sleep(10 * POLL_SECONDS)
        held = consuming.handled()
        bureau.answer.set_result(300)
        await soon(consuming.all_handled)

    assert held == 0
    assert reported(database) == ids(*waiting)


async def test_bureau_is_asked_again_after_a_restart_without_an_answer(database: Database, broker: Broker) -> None:
    (slow,) = stored(database, pan=SLOW)
    broker.publish(SUBMITTED, [slow.submitted()])
    async with assessing(database, broker, bureau=SlowBureau()) as first:
        await soon(lambda: database.count("audit_log") == 1)
        assert first.handled() == 0

    again = SlowBureau()
    again.answer.set_result(300)
    async with assessing(database, broker, bureau=again) as second:
        await soon(second.all_handled)

    assert reported(database) == ids(slow)


# ── over HTTP ───────────────────────────────────────────────────────────────────────────────────────────────────────


def inquiry(pan: str, submission: Submission | None = None) -> tuple[ApplicationSubmitted, Pan]:
    made = submission or a_submission(pan=pan)
    return ApplicationSubmitted.decode(made.submitted().value), Pan(pan)


async def answered(future: Score | asyncio.Future[Score]) -> Score:
    assert isinstance(future, asyncio.Future)
    async with asyncio.timeout(30):
        return await future


async def test_bureau_over_http_gives_a_score_or_has_no_file() -> None:
    async with a_bureau() as (bureau, _):
        scores = [await answered(bureau.ask(*inquiry(pan))) for pan in ("ABCDE1234F", "FGHIJ5678K", "SANDB0404F")]

    assert scores == [790, 610, None]


async def test_nothing_is_asked_any_more_once_it_is_closed() -> None:
    async with serving(port := free_port(), Requests(60.0)), asking(port) as (bureau, _):
        answers = [bureau.ask(*inquiry(simulator.SLOW.reveal())) for _ in range(8)]
        await asyncio.sleep(0)

        await bureau.close()

        assert all(isinstance(answer, asyncio.Future) and answer.cancelled() for answer in answers)


async def test_slow_answer_holds_up_no_other() -> None:
    async with a_bureau(slow_seconds=60) as (bureau, _):
        slow = bureau.ask(*inquiry(simulator.SLOW.reveal()))
        scores = [await answered(bureau.ask(*inquiry("ABCDE1234F"))) for _ in range(100)]

        assert isinstance(slow, asyncio.Future)
        assert not slow.done()
    assert scores == [790] * 100


async def test_bureau_that_fails_is_asked_again_under_the_same_request_id() -> None:
    async with a_bureau() as (bureau, requests):
        asked = inquiry(simulator.FAILS_TWICE.reveal())
        score = await answered(bureau.ask(*asked))

    assert isinstance(score, int)
    assert len(requests.keys) == 3
    assert set(requests.keys) == {str(event_id(EventType.CREDIT_REPORT_GENERATED, asked[0].application_id))}


async def test_application_that_is_being_asked_about_is_not_asked_about_twice() -> None:
    async with a_bureau(slow_seconds=0.3) as (bureau, requests):
        asked = inquiry(simulator.SLOW.reveal())
        first, second = bureau.ask(*asked), bureau.ask(*asked)
        scores = [await answered(first), await answered(second)]

    assert scores[0] == scores[1]
    assert len(requests.keys) == 1


async def test_pan_goes_to_the_bureau_in_the_body_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        async with a_bureau() as (bureau, requests):
            await answered(bureau.ask(*inquiry(simulator.FAILS_TWICE.reveal())))

    shown = "".join(requests.heads) + caplog.text + str(lines)
    assert "retrying" in shown
    assert "SANDB" not in shown


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (200, {"request_id": str(UUID(int=1))}),
        (200, {"score": 901}),
        (200, {"score": "700"}),
        (200, {"score": None}),
        (200, {"outcome": "NO_FILE"}),
        (200, {"outcome": "UNKNOWN"}),
        (200, {"request_id": None}),
        (401, {}),
        (422, {}),
        (429, {}),
        (302, {}),
    ],
)
async def test_answer_that_is_not_as_agreed_is_no_score(status: int, changes: dict[str, Any]) -> None:
    asked = 0

    async def answer(request: Request) -> JSONResponse:
        nonlocal asked
        asked += 1
        good = {"request_id": (await request.json())["request_id"], "outcome": "SCORE", "score": 700}
        return JSONResponse(good) if asked > 1 else JSONResponse(good | changes, status)

    port = free_port()
    app = Starlette(routes=[Route("/reports", answer, methods=["POST"])])
    async with serving(port, app), asking(port) as (bureau, _):
        score = await answered(bureau.ask(*inquiry("ABCDE1234F")))

    assert (score, asked) == (700, 2)


async def test_bureau_that_is_away_is_waited_out_and_left_alone_meanwhile(database: Database, broker: Broker) -> None:
    submissions = stored(database, 20)
    broker.publish(SUBMITTED, [each.submitted() for each in submissions])
    port, requests = free_port(), Requests(0.0)

    async with (
        asking(port) as (bureau, breaker),
        assessing(database, broker, bureau=bureau, dead_letters_in_a_row_max=1) as consuming,
    ):
        await soon(lambda: breaker.state is State.OPEN)
        before = reported(database), consuming.handled(), consuming.consumer.reason_not_ready()
        async with serving(port, requests):
            await soon(consuming.all_handled, within=30)

    assert before == (set(), 0, None)
    assert reported(database) == ids(*submissions)
    assert broker.published(SUBMITTED_DLQ) == 0
    # On a busy machine an answer may be late, and its request is sent again under its own id.
    assert len(set(requests.keys)) == len(submissions)


async def test_slow_and_failing_answers_delay_nobody_else_in_the_batch(database: Database, broker: Broker) -> None:
    (slow,) = stored(database, pan=simulator.SLOW.reveal())
    (failing,) = stored(database, pan=simulator.AWAY.reveal())
    others = stored(database, 50)
    broker.publish(SUBMITTED, [each.submitted() for each in (slow, failing, *others)])

    async with a_bureau(slow_seconds=60) as (bureau, _), assessing(database, broker, bureau=bureau):
        await soon(lambda: reported(database) == ids(*others), within=30)


# ── the limit of calls a day ────────────────────────────────────────────────────────────────────────────────────────


def asked_of(bureau: HttpBureau, count: int) -> list[Score | asyncio.Future[Score]]:
    return [bureau.ask(*inquiry("ABCDE1234F")) for _ in range(count)]


def a_day_passes(database: Database) -> None:
    database.execute("UPDATE bureau_calls SET day = day - 1")


async def test_day_allows_so_many_calls_over_all_processes_and_restarts(database: Database) -> None:
    port, requests = free_port(), Requests(0.0)
    async with serving(port, requests):
        async with (
            asking(port, calls=at_most(10, database.url)) as (first, _),
            asking(port, calls=at_most(10, database.url)) as (second, _),
        ):
            answers = [*asked_of(first, 8), *asked_of(second, 8)]
            await soon(lambda: sum(answer.done() for answer in answers if isinstance(answer, asyncio.Future)) == 10)
        async with asking(port, calls=at_most(10, database.url)) as (restarted, _):
            (waiting,) = asked_of(restarted, 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), 0.3)  # type: ignore[arg-type]
        asked = len(requests.keys)
        async with asking(port, calls=at_most(11, database.url)) as (raised, _):
            score = await answered(asked_of(raised, 1)[0])

    assert asked == 10
    assert score == 790
    assert database.value("SELECT calls FROM bureau_calls") == 11


async def test_calls_that_wait_together_are_counted_by_one_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, counted = bureau_calls.count, []

    async def noted(connection: Connection, wanted: int, calls_max: int) -> int:
        counted.append(wanted)
        return await count(connection, wanted, calls_max)

    monkeypatch.setattr(bureau_calls, "count", noted)
    port = free_port()
    async with serving(port, Requests(0.0)), asking(port, calls=at_most(1000, database.url)) as (bureau, _):
        for answer in asked_of(bureau, 200):
            await answered(answer)

    assert counted == [200]


async def test_request_that_fails_twice_is_one_call(database: Database) -> None:
    port, requests = free_port(), Requests(0.0)
    async with serving(port, requests), asking(port, calls=at_most(1, database.url)) as (bureau, _):
        await answered(bureau.ask(*inquiry(simulator.FAILS_TWICE.reveal())))

    assert len(requests.keys) == 3
    assert database.value("SELECT calls FROM bureau_calls") == 1


async def test_call_that_cannot_be_counted_is_not_made(database: Database) -> None:
    port, requests = free_port(), Requests(0.0)
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/nowhere"
    async with serving(port, requests), asking(port, calls=at_most(10, away)) as (bureau, _):
        (waiting,) = asked_of(bureau, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.5)  # type: ignore[arg-type]

    assert requests.keys == []


async def test_applications_beyond_the_limit_wait_for_the_next_day(database: Database, broker: Broker) -> None:
    submissions = stored(database, 20)
    broker.publish(SUBMITTED, [each.submitted() for each in submissions])
    port = free_port()

    async with (
        serving(port, Requests(0.0)),
        asking(port, calls=at_most(15, database.url)) as (bureau, _),
        assessing(database, broker, bureau=bureau, dead_letters_in_a_row_max=1) as consuming,
    ):
        await soon(lambda: len(reported(database)) == 15)
        before = consuming.all_handled(), consuming.consumer.reason_not_ready()
        a_day_passes(database)
        await soon(consuming.all_handled, within=30)

    assert before == (False, None)
    assert reported(database) == ids(*submissions)
    assert broker.published(SUBMITTED_DLQ) == 0
    assert [row["calls"] for row in database.rows("SELECT calls FROM bureau_calls ORDER BY day")] == [15, 5]


# ── reports that are used again ─────────────────────────────────────────────────────────────────────────────────────


class NotedBureau:
    """Knows every score at once, and notes whose it was asked for."""

    def __init__(self, score: Score) -> None:
        self.asked: list[UUID] = []
        self._score = score

    def ask(self, event: ApplicationSubmitted, _: Pan) -> Score:
        self.asked.append(event.application_id)
        return self._score

    async def close(self) -> None:
        """Nothing to let go."""


def a_report_is_kept(
    database: Database,
    of: Submission,
    hours: float,
    score: Score = 640,
    client: str = "local",
    draw: int | None = 7,
) -> None:
    database.execute(
        "INSERT INTO bureau_reports VALUES (%s, %s, %s, now() - make_interval(secs => %s), %s)",
        client,
        of.pan_number_hash,
        score,
        hours * 3600,
        draw,
    )


async def handled(database: Database, broker: Broker, bureau: NotedBureau, *submissions: Submission) -> None:
    """Have credit-service handle these applications, where reports are used again for a day."""
    broker.publish(SUBMITTED, [each.submitted() for each in submissions])
    async with assessing(database, broker, bureau=bureau, report_max_age_seconds=86400) as consuming:
        await soon(consuming.all_handled)


async def test_young_report_of_the_same_client_and_pan_is_used_again_with_its_age(
    database: Database, broker: Broker
) -> None:
    same, older, of_another, undrawn, unknown = stored(database, 5)
    (no_file,) = stored(database, pan="SANDB0404F")
    a_report_is_kept(database, same, hours=23)
    a_report_is_kept(database, older, hours=25)
    a_report_is_kept(database, of_another, hours=1, client="another")
    a_report_is_kept(database, undrawn, hours=1, draw=None)
    a_report_is_kept(database, no_file, hours=2, score=None)
    bureau = NotedBureau(700)

    await handled(database, broker, bureau, same, older, of_another, undrawn, unknown, no_file)

    payloads = database.rows("SELECT application_id AS id, payload FROM outbox_events")
    scores = {row["id"]: json.loads(row["payload"])["cibil_score"] for row in payloads}
    ages = {row["application_id"]: row["age_seconds"] for row in database.rows("SELECT * FROM reused_reports")}
    decrypted = {row["application_id"] for row in database.rows("SELECT application_id FROM audit_log")}
    assert set(bureau.asked) == decrypted == {older.id, of_another.id, undrawn.id, unknown.id}
    asked = dict.fromkeys(bureau.asked, 700)
    assert scores == asked | {same.id: 640, no_file.id: None}
    assert {id_: round(age / 3600) for id_, age in ages.items()} == {same.id: 23, no_file.id: 2}


async def test_report_is_kept_for_the_next_application_and_holds_no_pan(database: Database, broker: Broker) -> None:
    (first,) = stored(database)
    (next_,) = stored(database, pan=first.pan)
    bureau = NotedBureau(None)

    await handled(database, broker, bureau, first)
    await handled(database, broker, bureau, next_)

    (kept,) = database.rows("SELECT * FROM bureau_reports")
    reports = [*reports_of(database, first), *reports_of(database, next_)]
    assert bureau.asked == [first.id]
    assert [report["challenge_draw"] for report in reports] == [first.challenge_draw] * 2
    assert (kept["client"], kept["pan_number_hash"], kept["cibil_score"]) == ("local", first.pan_number_hash, None)
    assert first.pan not in str(kept)


async def test_used_report_grows_no_younger(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    a_report_is_kept(database, submission, hours=23)
    before = database.rows("SELECT * FROM bureau_reports")

    await handled(database, broker, NotedBureau(700), submission)

    assert database.rows("SELECT * FROM bureau_reports") == before


async def test_no_report_is_kept_where_none_is_used_again(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    a_report_is_kept(database, submission, hours=1)
    bureau = NotedBureau(700)
    broker.publish(SUBMITTED, [submission.submitted()])

    async with assessing(database, broker, bureau=bureau) as consuming:
        await soon(consuming.all_handled)

    assert bureau.asked == [submission.id]
    assert database.value("SELECT cibil_score FROM bureau_reports") == 640
