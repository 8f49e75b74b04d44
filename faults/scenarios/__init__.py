"""The faults themselves, a module for each kind; `faults.scenario.every` finds them."""
