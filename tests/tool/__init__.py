"""Tests of the tools that try and measure the system: checker, campaign, oracle, the bench's pure parts."""
