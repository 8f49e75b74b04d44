"""Tools of the person on call: dead letters resolved, events republished, one application traced."""
