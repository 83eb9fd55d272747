"""From a request to its answer: the API, the control surface, and the two ways to reach them (HTTP and memory)."""
