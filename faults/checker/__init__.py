"""The checker: reads what a client saw and what a system holds, and decides every invariant; changes nothing."""
