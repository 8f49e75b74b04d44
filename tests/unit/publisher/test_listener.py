import asyncio

from prequal.publisher.listener import OutboxListener
from tests.builders import DATABASE_URL


def listener() -> OutboxListener:
    return OutboxListener(DATABASE_URL, ["one", "other"])


async def test_a_wake_up_ends_the_wait_for_its_topic() -> None:
    heard = listener()
    waiting = asyncio.create_task(heard.wait("one", 60))
    await asyncio.sleep(0)

    heard.wake("one")

    await asyncio.wait_for(waiting, 10)


async def test_a_wake_up_before_the_wait_is_not_lost() -> None:
    heard = listener()
    heard.wake("one")

    await asyncio.wait_for(heard.wait("one", 60), 10)


async def test_a_wake_up_wakes_once() -> None:
    heard = listener()
    heard.wake("one")
    await heard.wait("one", 60)

    second = asyncio.create_task(heard.wait("one", 60))
    await asyncio.sleep(0)

    assert not second.done()
    second.cancel()


async def test_a_wake_up_leaves_other_topics_asleep() -> None:
    heard = listener()
    other = asyncio.create_task(heard.wait("other", 60))
    heard.wake("one")
    await asyncio.wait_for(heard.wait("one", 60), 10)

    assert not other.done()
    other.cancel()


async def test_a_wait_is_bounded() -> None:
    await asyncio.wait_for(listener().wait("one", 0.001), 10)


async def test_all_can_be_woken_to_stop() -> None:
    heard = listener()
    waiting = [asyncio.create_task(heard.wait(topic, 60)) for topic in ("one", "other")]
    await asyncio.sleep(0)

    heard.wake_all()

    await asyncio.wait_for(asyncio.gather(*waiting), 10)
