"""The trade's words and rules, pure: no clock, no chance, no framework, and no I/O but reading its own documents."""
