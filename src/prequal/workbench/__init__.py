"""The workbench of whoever is on call: dead letters looked at and settled, facts told again."""
