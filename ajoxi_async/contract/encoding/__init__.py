"""Between JSON and Python: what is JSON, how times travel, what callers may give, and how models are read and written."""
