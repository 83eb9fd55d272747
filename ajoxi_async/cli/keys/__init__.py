"""Keys for the command: profiles in a file of the user's own, or in the system's keyring."""
