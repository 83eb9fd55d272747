"""Faults on request: which fault applies to a request, a stream or a delivery, and how an answer is broken."""
