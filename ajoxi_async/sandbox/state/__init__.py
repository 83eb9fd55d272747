"""One account and everything that can be done to it, without I/O: each command and transition of a resource is in its file."""
