"""Event streams: one connection loop for all of them, live transcripts, and several transcripts at once."""
