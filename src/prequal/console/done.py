"""What an act did, as the page behind it says.

Invariant: an address can name one of these sentences, and bring none of its own.
"""

from enum import Enum


class Done(Enum):
    """An act that was done: its name is in the address, its sentence on the page."""

    CLAIMED = "The case is claimed for you."
    NOTED = "The note is written."
    SECOND_LOOK = "The case is released; another reviewer decides it with you."
    VOTED = "Your decision is recorded; the case waits for a second person's."
    DECIDED = "The case is decided."
    REPLAYED = "The dead letters that were chosen are replayed: each is on its source topic again."
    DISCARDED = "The dead letters that were chosen are discarded."
    PROPOSED = "The document was checked and is stored as this version."
    PROPOSED_SHADOW_ENDED = "The document was checked and is stored as this version, which is the shadow no more."
    BACKTESTED = "The backtest is recorded with this version."
    APPROVED = "This version is approved on this backtest."
    ACTIVATED = "This version is put into force: within 5 seconds it decides new applications."
    ACTIVATED_SHADOW_ENDED = (
        "This version is put into force, and is the shadow no more: within 5 seconds it decides new applications."
    )
    ACTIVATED_LATER = "This version decides from the time on that its state says: the database's clock stepped back."
    ROLLED_BACK = "This version is out of force: within 5 seconds the one before decides again."
    ROLLED_BACK_SHADOW_ENDED = (
        "This version is out of force: within 5 seconds the one before decides again, and is the shadow no more."
    )
    ROLLED_BACK_LATER = "This version goes out of force once the database's clock, which stepped back, has caught up."
    CHALLENGES = "This version is the challenger: within 5 seconds it decides its share."
    CHALLENGE_ENDED = "The challenge is ended: within 5 seconds one version decides everything."
    ROLES_SET = "The roles are changed; they hold from the next page on."
    IDENTITY_SET = "It is changed whom the issuer vouches for."
    DISABLED = "The person is disabled: no sign-in, session or token of theirs is good any more."
    REVOKED = "The client is revoked: within 5 seconds no secret or token of it is good any more."


def sentence_of(name: str) -> str:
    """The sentence of an act by its name in an address; empty for any other text."""
    done = Done.__members__.get(name)
    return done.value if done else ""
