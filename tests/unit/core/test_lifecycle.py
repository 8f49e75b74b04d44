import asyncio

from prequal.core.lifecycle import first_of


async def test_wait_for_several_events_ends_with_the_first_of_them() -> None:
    never, event = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(first_of(60, never, event))
    await asyncio.sleep(0)

    event.set()

    await asyncio.wait_for(waiting, 10)


async def test_event_that_is_set_before_the_wait_is_not_lost() -> None:
    event = asyncio.Event()
    event.set()

    await asyncio.wait_for(first_of(60, event), 10)

    assert event.is_set()


async def test_wait_for_events_is_bounded() -> None:
    await asyncio.wait_for(first_of(0.001, asyncio.Event()), 10)


async def test_wait_for_events_leaves_no_task_behind() -> None:
    await first_of(0.001, asyncio.Event(), asyncio.Event())
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}
