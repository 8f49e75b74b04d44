"""decision-service: takes credit reports, applies the policy, and moves each application to its final status, once."""
