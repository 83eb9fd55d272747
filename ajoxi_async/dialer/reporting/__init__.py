"""From the ledger to progress, reports and files."""
