"""The API's callers: their tokens, and how they come, change and go."""
