"""The end of a shadow: by a person, by an edit of its document, or because it is put into force.

Invariant: the act is recorded in the transaction of what ends it, which is the caller's.
"""

from prequal.policy_versions import shadow_queries
from prequal.policy_versions.shadow_queries import NamedShadow
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, record_act


async def end(connection: Connection, actor: Actor, named: NamedShadow) -> None:
    """Let no version decide beside the one in force; `named` did."""
    await shadow_queries.insert_shadow(connection, None, None, actor)
    await record_act(connection, actor, "policy_shadow_ended", "policy", named.version, {"hash": named.hash.hex()})


async def end_of(connection: Connection, actor: Actor, version: str) -> bool:
    """End the shadow where it is this version; whether it was."""
    named = await shadow_queries.shadow(connection)
    if named is None or named.version != version:
        return False
    await end(connection, actor, named)
    return True
