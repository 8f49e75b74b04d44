"""The key services by their names, apart from their settings: the command line names them before it loads those."""

from enum import StrEnum


class KeySource(StrEnum):
    """The key services that may have wrapped a key of a ring."""

    VAULT = "vault"
    KMS = "kms"
