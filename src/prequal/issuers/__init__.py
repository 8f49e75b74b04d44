"""Issuers of tokens, such as an organisation's own sign-in service: their keys, and the content of their tokens."""
