"""credit-service and a bureau that does not answer at once: who waits for it, and who does not."""

import asyncio

from harness.broker import SUBMITTED, Broker
from harness.database import Database
from harness.waiting import soon
from prequal.credit.bureau import Score
from prequal.domain.pan import Pan
from prequal.messaging.events import ApplicationSubmitted
from tests.support.consumers import assessing
from tests.support.submissions import Submission, stored

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
    assert len(database.rows("SELECT FROM audit_log WHERE application_id = %s", slow.id)) == 1


async def test_application_whose_score_never_came_is_asked_about_again_after_a_restart(
    database: Database, broker: Broker
) -> None:
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
