"""The people who work with the service: passwords, second factors, roles, sessions."""
