"""Rules of a campaign, pure: states, windows, caps, retries, pacing, phone numbers. Times and random numbers are arguments."""
