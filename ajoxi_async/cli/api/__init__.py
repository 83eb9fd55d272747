"""A command for each operation of the API: ``ajoxi calls create``, ``ajoxi numbers release``, and so on.

`describe` reads the routes, the classes of parameters and the docstrings of the client's methods, and writes them down in
``operations.json``. `arguments.api` makes options of that file, and `run` carries a command out.

The file exists because reading it takes a few milliseconds, and importing the classes takes over a hundred: ``--help`` and shell
completion need nothing else. A test compares it with what `describe` says.
"""
