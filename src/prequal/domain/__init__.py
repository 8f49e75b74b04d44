"""The trade's words and rules, pure: no I/O, no clock, no chance, no framework."""
