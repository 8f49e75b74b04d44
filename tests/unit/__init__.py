"""Tests of one module each: no database, no broker, no waiting."""
