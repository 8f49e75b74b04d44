"""The console script `prequal`."""
