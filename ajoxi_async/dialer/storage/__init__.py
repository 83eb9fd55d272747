"""The ledger: its tables and statements, written once, and the two databases that carry them out."""
