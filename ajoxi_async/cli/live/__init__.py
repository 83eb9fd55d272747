"""Commands that follow something as it changes: calls, transcripts, the rate limit."""
