"""What depends on the running process and event loop: forks, loops, and tasks that outlive a block."""
