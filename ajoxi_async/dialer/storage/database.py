"""The interface of a database that holds a ledger. It is synchronous; `ledger.Ledger` calls it from a worker thread.

Rules:
1. One thread at a time uses a database, except `owned` and `alarm`, which any thread may call at any time and which do no I/O.
2. Statements are those of `statements`, with ``?`` for each parameter; an adapter rewrites them where its driver differs.
3. Only the owner of a campaign writes. Others post commands to the inbox, which the owner reads (`statements.commands`).
4. What the driver raises leaves an adapter as `LedgerError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

__all__ = ["Database", "Posted", "Row", "Value"]

Value: TypeAlias = int | float | str | None
#: A row of a result. Its values are those of the statement's columns.
Row: TypeAlias = tuple[Any, ...]


class Posted(NamedTuple):
    """A command in the inbox.

    Attributes:
        id: grows with each command.
        at: milliseconds since the epoch.
        what: the kind of command.
        detail: its arguments, as JSON.
    """

    id: int
    at: int
    what: str
    detail: str


class Database(Protocol):
    """A database that holds a ledger."""

    @property
    def shared(self) -> bool:
        """Whether processes of several machines use it, each the owner of some campaigns.

        Then a run stands by while another process owns the campaign, and other owners are told of each command.
        """

    @property
    def lease(self) -> float:
        """Seconds after which an owner that cannot be reached has stopped sending; 0 if owners can always be reached."""

    @property
    def files(self) -> Collection[str]:
        """The paths of its files, with links resolved, which nothing else may be written to."""

    def open(self) -> None:
        """Connect, for reading at least, and check that it is a ledger, or none yet.

        Raises:
            LedgerError: it cannot be read, or it belongs to another application or a newer version.
        """

    def exists(self) -> bool:
        """Whether there are the tables of a ledger."""

    def close(self) -> None:
        """Give up ownership and disconnect. Idempotent."""

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Carry out a statement and return its rows.

        Raises:
            LedgerError: the database refused it, or cannot be reached.
        """

    def update(self, table: str, changes: Mapping[str, str], rows: Iterable[Sequence[Value]]) -> None:
        """Change many rows of a table by their ids in the fastest way of the database, within a transaction.

        Args:
            table: its name.
            changes: an expression for each column that changes, with at most one ``?`` for a value of the column's type, such
                as ``coalesce(?, due)``.
            rows: the values, and last the id of the row that changes. An id may repeat: its changes are made in their order.
        """

    def transaction(self) -> AbstractContextManager[None]:
        """A block that is committed durably as a whole, or not at all. Blocks are not nested.

        Raises:
            LedgerOwnedError: this process does not own what it would write to.
            LedgerError: the commit failed, or it is unknown whether it did.
        """

    def load(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Value]],
        *,
        fixed: Mapping[str, int | str] = ...,
        key: Sequence[str] = ...,
    ) -> None:
        """Insert many rows into a table in the fastest way of the database, within a transaction.

        A table whose column ``id`` is not among the columns gives the rows ids above all that it has, in their order.

        Args:
            table: its name.
            columns: of the rows.
            rows: the values of each row.
            fixed: more columns: with an integer that is the same in all rows, or with the name of a column whose value they repeat.
            key: columns of a unique index; rows that repeat a key are left out.

        Raises:
            LedgerError: a row breaks a constraint other than the key; the transaction is to be given up.
        """

    def own(self, name: str) -> None:
        """Become the owner of a campaign by its name, for as long as this process lives. It does not wait.

        The first owner of an empty database makes the tables. SQLite locks the whole ledger. The caller raises the campaign's
        epoch in its first transaction (`statements.campaigns.next_epoch`) and checks it in every later one (`fence`).

        Raises:
            LedgerOwnedError: another process or object owns it.
            LedgerError: the database cannot be written, or its locks cannot be relied on.
        """

    def disown(self, name: str, *, settled: bool = True) -> None:
        """Give up the ownership of a campaign.

        Args:
            name: of the campaign.
            settled: whether every request of the owner has been answered or given up for longer than it can take.
        """

    def owned(self, name: str) -> bool:
        """Whether this process surely owns a campaign at this moment. Fast and without I/O: the gate calls it for each call."""

    def quiet_in(self, name: str) -> float:
        """Seconds until nothing that a former owner of a campaign has sent is under way any more. Without I/O."""

    def post(self, what: str, detail: str, at: int) -> int:
        """Post a command to the owner, durably, and return its id. Anyone may post."""

    def posted(self, after: int) -> list[Posted]:
        """The commands in the inbox whose id is above `after`, in their order.

        All commands are there that were counted by an `alarm` before this call.
        """

    def forget(self, upto: int) -> None:
        """Remove the commands up to an id, which were carried out."""

    def alarm(self) -> int | None:
        """A number that grows with each command that is posted; ``None`` if the database has no such signal. Without I/O.

        Without a signal the owner sends nothing while it has not looked for commands for a tenth of a second.
        """
