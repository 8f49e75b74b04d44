"""Which store does not answer, in words for people.

Invariant: of PostgreSQL nobody reads the name of a driver's error.
"""

from prequal.core.errors import PrequalError
from prequal.postgres.connections import PostgresAway


def away(problem: PrequalError) -> str:
    """Which store does not answer, in a sentence."""
    return _sentence("PostgreSQL does not answer" if isinstance(problem, PostgresAway) else str(problem))


def ended_by(problem: PrequalError) -> str:
    """Why something that ran for a person came to nothing, in a sentence that is read later."""
    did_not_answer = "PostgreSQL did not answer any more: begin it again"
    return _sentence(did_not_answer if isinstance(problem, PostgresAway) else str(problem))


def _sentence(words: str) -> str:
    return words if words.endswith(".") else f"{words}."
