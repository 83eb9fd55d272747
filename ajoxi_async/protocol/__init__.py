"""Floor 1: pure decisions. No ``async``; clock and randomness are arguments."""
