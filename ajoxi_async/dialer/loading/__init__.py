"""From rows, such as those of a CSV file, to contacts in the ledger."""
