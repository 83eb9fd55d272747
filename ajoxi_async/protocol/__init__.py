"""Pure decisions about what travels: errors, retries, rates, streams. No ``async``; times and random numbers are arguments."""
