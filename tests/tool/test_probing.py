"""Probes beside a load: each that comes due counts, whatever it is answered."""

import asyncio
import time

import pytest

from harness.ports import free_port
from harness.probing import EVERY_SECONDS, Probe, Prober, expected
from harness.waiting import soon
from tests.tool.scripted import FULL, HEALTHY, Scripted

SECONDS = 0.6


async def probed(port: int, *, is_answered: bool = True) -> list[Probe]:
    """What comes of probing for a while, and of what came due in it a little later, where there are answers."""
    prober = Prober(port)
    task = asyncio.create_task(prober.run())
    await asyncio.sleep(EVERY_SECONDS)
    began = time.time()
    await asyncio.sleep(SECONDS)
    if is_answered:  # the last may come late, on a machine that stands still just then
        await soon(lambda: min(prober.next_due.values()) > began + SECONDS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return prober.due_between(began, began + SECONDS)


async def test_probes_that_are_answered_are_as_many_as_came_due() -> None:
    with Scripted(lambda _: HEALTHY) as healthy:
        found = await probed(healthy.port)

    assert sum(each.status == 200 for each in found) == pytest.approx(expected(SECONDS), abs=3)
    assert not any(each.is_wrong for each in found)


async def test_probes_that_are_never_answered_count_with_the_time_they_have_waited() -> None:
    with Scripted(lambda _: b"") as silent:
        found = await probed(silent.port, is_answered=False)

    assert len(found) == pytest.approx(expected(SECONDS), abs=3)
    assert {each.status for each in found} == {None}
    assert max(each.seconds for each in found) == pytest.approx(SECONDS, abs=0.1)


async def test_late_answer_is_late_for_all_that_came_due_meanwhile() -> None:
    def late(_: bytes) -> bytes:
        time.sleep(SECONDS / 2)
        return HEALTHY

    with Scripted(late) as slow:
        found = await probed(slow.port)

    assert len(found) == pytest.approx(expected(SECONDS), abs=3)
    assert sum(each.seconds > SECONDS / 4 for each in found) >= len(found) / 3


@pytest.mark.parametrize("requests", [1, 100])
async def test_probes_that_are_cut_or_refused_are_wrong_and_the_next_ones_are_sent_all_the_same(requests: int) -> None:
    with Scripted(lambda _: FULL if requests > 1 else b"", requests=requests) as unwell:
        found = await probed(unwell.port)

    assert sum(each.is_wrong for each in found) == pytest.approx(expected(SECONDS), abs=3)


async def test_probes_are_wrong_where_nobody_listens() -> None:
    found = await probed(free_port())

    assert sum(each.is_wrong for each in found) == pytest.approx(expected(SECONDS), abs=3)
