"""The sandbox's clocks, and the timers that say what will happen at which moment."""
