"""Policy documents for tests and faults, and a version's way into force in one call."""

from datetime import datetime

from harness.database import Database
from prequal.decision.policy_in_force import InForce
from prequal.domain.policy import packaged
from prequal.domain.policy.loading import load
from prequal.policy_versions import life
from prequal.policy_versions.queries import Activation
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, ActorKind

ASHA = Actor(ActorKind.PERSON, "asha")
RAVI = Actor(ActorKind.PERSON, "ravi")
REPORT = b"r" * 32
"""The hash of a report."""
COUNTS = '{"applications": 3, "flips": 1}'
"""What is stored of it."""


def policy_text(version: str = "v2", minimum: int = 700) -> str:
    """Policy v1 under another name and with another minimum, its tests moved with it."""
    text = (packaged.text_of("v1") or "").replace('version = "v1"', f'version = "{version}"')
    text = text.replace("{ score = 650 }", f"{{ score = {minimum} }}")
    text = text.replace("cibil_score = 650\n", f"cibil_score = {minimum}\n")
    return text.replace("cibil_score = 649\n", f"cibil_score = {minimum - 1}\n")


def padded(text: str, size: int, letter: str = "न") -> str:
    """A document with a comment of these letters before it, by default of Hindi, so that it has so many bytes."""
    number, rest = divmod(size - len(text.encode()) - len("# \n"), len(letter.encode()))
    return f"# {letter * number}{'.' * rest}\n{text}"


def decided_by_v1() -> InForce:
    """What a batch is decided by where nobody activated anything."""
    return InForce(packaged.current())


async def proposed(connection: Connection, text: str | None = None, counts: str = COUNTS) -> bytes:
    """A version that Asha proposed and backtested; its hash."""
    text = text or policy_text()
    stored = await life.propose(connection, ASHA, text)
    await life.record_backtest(connection, ASHA, load(text), REPORT, counts)
    return stored.hash


async def approved(connection: Connection, text: str | None = None, counts: str = COUNTS) -> None:
    """A version that Asha proposed and Ravi approved."""
    text = text or policy_text()
    digest = await proposed(connection, text, counts)
    await life.approve(connection, RAVI, load(text).version, digest, REPORT)


async def activated(connection: Connection, text: str | None = None, at: datetime | None = None) -> Activation:
    """A version that Asha proposed, and Ravi approved and activated."""
    text = text or policy_text()
    await approved(connection, text)
    return await life.activate(connection, RAVI, load(text).version, at)


def let_the_clock_step_back(database: Database, seconds: int) -> None:
    """Have the newest activation be of a clock that was so far ahead of the present one."""
    database.execute("ALTER TABLE policy_activations DISABLE TRIGGER policy_activations_is_append_only")
    database.execute(
        """
        UPDATE policy_activations
        SET effective_from = effective_from + %s * interval '1 s', activated_at = activated_at + %s * interval '1 s'
        WHERE id = (SELECT max(id) FROM policy_activations)
        """,
        seconds,
        seconds,
    )
    database.execute("ALTER TABLE policy_activations ENABLE ALWAYS TRIGGER policy_activations_is_append_only")
