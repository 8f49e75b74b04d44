"""The console's JSON API: what the pages do, for the command line and other programs."""
