"""Versions of the credit policy in the database: proposed, backtested, approved by a second person, and in force."""
