"""Runnable examples; each starts the embedded sandbox where no key is set."""
