"""Decides from the numbers involved and the seed how a call or a message ends."""
