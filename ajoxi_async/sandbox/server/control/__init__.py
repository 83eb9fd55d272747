"""The control surface under ``/_ajoxi/``: `surface` has the table of routes, and each other file the routes of one subject."""
