"""The file in which a sandbox keeps its worlds from one run to the next."""
