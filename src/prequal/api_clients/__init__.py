"""The API's callers: their tokens, and their life from addition to revocation."""
