"""A run of a campaign: its tasks, and what they share."""
