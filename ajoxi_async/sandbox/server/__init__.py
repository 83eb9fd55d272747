"""Answering requests: the API, the control surface, and the two ways to reach them (HTTP and in memory)."""
