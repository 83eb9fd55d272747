"""Floor 2: waiting for one's turn."""
