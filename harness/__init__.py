"""What tests, faults and measurements share: a running system, its clients, and the applications they post."""
