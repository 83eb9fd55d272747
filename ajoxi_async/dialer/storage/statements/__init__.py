"""The statements of a ledger, as plain functions of a database and arguments.

Rules:
1. Statements are written once, for SQLite and PostgreSQL, with ``?`` for each parameter.
2. Functions that write are called within a transaction. They return what their caller needs to know, and decide nothing that
   `machine` or the rules decide.
3. Every change of a contact's state changes the table ``count`` in the same transaction, so that the counts always add up.
"""
