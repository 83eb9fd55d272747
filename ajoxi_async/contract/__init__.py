"""Floor 0: what travels between a client and an Ajoxi server, as pure values shared by both ends.

Nothing here does I/O, reads a clock or knows which end it runs on.
"""
