"""Event loops and processes: the running loop, state that must be renewed after a fork, hosted task groups, whole work."""
