"""What changed in a world, for any number of subscribers."""
