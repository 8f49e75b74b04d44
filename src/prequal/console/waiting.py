"""How long the answer to a form waits for what the form began.

Invariant: what takes longer goes on, and its page shows how far it is.
"""

import asyncio
from typing import Final

WAIT_SECONDS: Final = 2.0


async def wait_briefly(task: asyncio.Task[None]) -> None:
    """Return after its end, or after `WAIT_SECONDS`."""
    await asyncio.wait({task}, timeout=WAIT_SECONDS)
