"""Tests of the fault tool itself: its checker, its campaign, its oracle."""
