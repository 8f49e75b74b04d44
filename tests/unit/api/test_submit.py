"""`api.submit`: nobody waits for longer than is promised, and nothing is looked for while nobody waits."""

import asyncio

import pytest

from harness.waiting import soon
from prequal.api import submit
from prequal.api.errors import ErrorCode
from prequal.api.submit import Submissions
from tests.support.submissions import a_new_application
from tests.support.without_stores import unopened_submissions


@pytest.fixture
async def unwritten(monkeypatch: pytest.MonkeyPatch) -> Submissions:
    """A queue that nobody empties, whose submissions are given up after a tenth of a second."""
    monkeypatch.setattr(submit, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(submit, "SWEEP_SECONDS", 0.01)
    submissions = unopened_submissions()
    submissions.open()
    return submissions


async def test_each_of_those_that_are_not_written_is_given_up_when_its_time_is_over(
    unwritten: Submissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[object] = []

    async def one() -> None:
        answers.append(await unwritten.submit(a_new_application()))

    first = asyncio.create_task(one())
    await asyncio.sleep(0)
    monkeypatch.setattr(submit, "ANSWER_SECONDS", 60.0)
    second = asyncio.create_task(one())
    await first
    given_up_with_the_first = len(answers)
    unwritten._queue[-1].give_up_at = 0.0
    unwritten._sweep()
    await second

    assert given_up_with_the_first == 1
    assert answers == [ErrorCode.SERVICE_UNAVAILABLE] * 2


async def test_nobody_is_looked_for_while_nobody_waits(unwritten: Submissions) -> None:
    before = unwritten._sweeping

    await unwritten.submit(a_new_application())

    await soon(lambda: unwritten._sweeping is None)
    assert before is None
