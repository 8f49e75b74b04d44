"""prequal-api: takes applications and answers for their status."""
