"""How fast it is, beside the best of what others use. Nothing here asserts a time; `python -m benchmarks` prints."""
