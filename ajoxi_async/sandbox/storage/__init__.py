"""The file that keeps the worlds from one run to the next."""
