"""The workbench of whoever is on call: dead letters settled, facts told again, one application's story told."""
