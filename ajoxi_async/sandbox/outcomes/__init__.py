"""What becomes of a call or a message, decided from the numbers involved and the seed."""
