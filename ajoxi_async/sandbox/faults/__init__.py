"""What goes wrong on purpose: which fault strikes a request, a stream or a delivery, and how an answer is broken."""
