"""The reconciler: an application whose events were lost after they were told is decided all the same."""

import httpx

from prequal.kernel import db, reconciler
from tests.support.applications import an_application
from tests.support.broker import Broker
from tests.support.database import Database
from tests.support.processes import House
from tests.support.submissions import stored
from tests.support.waiting import eventually

ANCIENT = "UPDATE applications SET created_at = created_at - interval '1 minute'"


def test_application_whose_events_were_lost_with_the_broker_is_decided(
    house: House, broker: Broker, database: Database
) -> None:
    house.start("api", "publisher")
    httpx.post(f"{house.api.url}/applications", json=an_application(), trust_env=False).raise_for_status()
    eventually(lambda: database.count("outbox_archive") == 1)
    broker.renew()
    database.execute(ANCIENT)

    house.start("credit", "decision")

    eventually(lambda: database.value("SELECT status <> 'PENDING' FROM applications"), within=30)
    assert database.row("SELECT times FROM retellings") == {"times": 1}
    assert database.count("outbox_archive") == 2


async def test_only_undecided_applications_of_some_age_are_due_and_then_not_at_once_again(database: Database) -> None:
    old, young, decided = stored(database, 3)
    database.execute(f"{ANCIENT} WHERE id <> %s", young.id)
    database.execute(
        "UPDATE applications SET status = 'REJECTED', cibil_score = 600, decision_rule = 'SCORE_BELOW_MINIMUM',"
        " decision_measures = '{}', policy_version = 'v1', version = 2 WHERE id = %s",
        decided.id,
    )
    connection = await db.connect(database.url, "test")

    first = await reconciler.due_for_retelling(connection, 30, 10)
    await reconciler.note_retelling(connection, first)
    again = await reconciler.due_for_retelling(connection, 30, 10)

    await connection.close()
    assert (first, again) == ([old.id], [])


async def test_pause_before_the_next_retelling_doubles(database: Database) -> None:
    (old,) = stored(database, 1)
    connection = await db.connect(database.url, "test")
    pauses = []

    for _ in range(9):
        await reconciler.note_retelling(connection, [old.id])
        seconds = "SELECT extract(epoch FROM next_at - last_at)::integer AS pause FROM retellings"
        pauses.append(database.value(seconds))

    await connection.close()
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
