"""Review: what the policy leaves to people, from the case that is opened to the decision that they take."""
