"""A ledger: the file or database in which campaigns, contacts and attempts are kept. Asynchronous; the database is not.

Rules:
1. One thread at a time works with the database. Whoever finds no thread at work becomes the writer: it carries out what was asked
   for meanwhile, all of it in one transaction, with one commit for many (group commit).
2. A piece of work that raises does not spoil the others of its transaction: they are carried out again one by one.
3. `write` returns when the transaction is durable, and raises if it is not, or if that is unknown.
4. Work that was handed over is carried out even if the task that waits for it is cancelled, and before the database is closed. Only a
   task that still waits becomes the next writer; where none does, the present one carries out the rest.
5. Work of one kind on many items is carried out once for all items that wait (`write_each`), because the time of a transaction is
   that of its statements, and to a database on another machine each of them is a round trip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from os import PathLike
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import anyio.to_thread
from attrs import define, field

from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.protocol.errors import LedgerError, LedgerOwnedError, LedgerUnreachableError
from ajoxi_async.runtime.whole import whole

__all__ = ["Ledger"]

T = TypeVar("T")
Item = TypeVar("Item")

#: Most pieces of work in one transaction.
_MOST = 500
#: Seconds between two attempts to become the owner, and how long to try by default: other commands own a ledger for a moment.
_AGAIN = 0.05
_PATIENCE = 3.0


@define(eq=False)
class _Job(Generic[T]):
    """A piece of work, and how it ended.

    Attributes:
        work: gets the database; or, if `each` is true, the database and all items that wait, of which `item` is one.
    """

    work: Callable[..., Any]
    item: Any = None
    each: bool = False
    done: anyio.Event = field(factory=anyio.Event)
    result: T | None = None
    error: BaseException | None = None
    #: Whether the task that waits for this job is to become the writer.
    leads: bool = False
    #: Whether no task waits for this job any more.
    left: bool = False


class Ledger:
    """The ledger of any number of campaigns. Use it within ``async with``, in one event loop.

    Args:
        where: the path of an SQLite file, which is made if it does not exist, or the URL of a PostgreSQL database
            (``postgresql://...``; needs the extra ``[postgres]``), or a `Database` of your own.

    Raises:
        ConfigurationError: the path or URL cannot be right.
    """

    def __init__(self, where: str | PathLike[str] | Database) -> None:
        self.database: Database = _database_of(where)
        self._thread = anyio.Lock()
        self._limit: anyio.CapacityLimiter | None = None
        self._jobs: list[_Job[Any]] = []
        self._writing = False
        self._open = False
        #: Campaigns whose run was left while requests of its were under way.
        self.unsettled: set[str] = set()
        #: How many blocks own each campaign.
        self._owners: Counter[str] = Counter()
        #: The campaigns that are being run with this object; each by one task.
        self.runs: set[str] = set()

    def __repr__(self) -> str:
        return f"Ledger({self.database!r})"

    async def __aenter__(self) -> Self:
        await self._in_thread(self.database.open)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await whole(self._close())

    async def _close(self) -> None:
        while self._jobs:  # Of tasks that were cancelled, or that outlive the block.
            await self._carry_out_some()
        async with self._thread:
            await self._in_thread(self.database.close)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._limit is None:
            # Its own, because anyio's threads are shared with the rest of the application, which may block them.
            self._limit = anyio.CapacityLimiter(1)
        # Whole, because a database serves one thread at a time.
        return await whole(anyio.to_thread.run_sync(work, limiter=self._limit))

    def _check_open(self) -> None:
        if not self._open:
            raise LedgerError("the ledger is not open; use it within `async with`")

    async def read(self, work: Callable[[Database], T]) -> T:
        """Carry out work that only reads, and return its result.

        Raises:
            LedgerError: the database cannot be read.
        """
        self._check_open()
        async with self._thread:
            return await self._in_thread(lambda: work(self.database))

    async def write(self, work: Callable[[Database], T]) -> T:
        """Carry out work in a transaction, together with other work that waits, and return its result once it is durable.

        Args:
            work: gets the database. It must be repeatable, because it is carried out again if another work of the same
                transaction fails.

        Raises:
            LedgerOwnedError: this process does not own what is written to.
            LedgerError: it is not durable, or it is not known whether it is.
        """
        return await self._write(_Job(work))

    async def write_each(self, work: Callable[[Database, list[Item]], Sequence[T]], item: Item) -> T:
        """Carry out work on an item, together with the other items that wait for the same work. Otherwise as `write`.

        Args:
            work: gets the database and the items, and returns a result for each. Items are together if their `work` is equal.
            item: what it is carried out on.

        Raises:
            LedgerError: see `write`.
        """
        return await self._write(_Job(work, item, each=True))

    async def _write(self, job: _Job[T]) -> T:
        self._check_open()
        self._jobs.append(job)
        if self._writing:
            await self._wait(job)
        else:
            self._writing = job.leads = True
        if job.leads:
            await whole(self._carry_out(job))
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]  # set, because there was no error

    async def _wait(self, job: _Job[Any]) -> None:
        try:
            await job.done.wait()
        except BaseException:
            job.left = True
            if job.leads:  # This task was to become the writer and is cancelled instead; the jobs must not be left.
                await whole(self._carry_out(job))
            raise

    async def _carry_out(self, job: _Job[Any]) -> None:
        """Carry out the jobs that wait, this one among them; then let the task of the next job do the same."""
        job.leads = False
        done = False
        try:
            while self._jobs and not (done and self._next()):
                done = job in await self._carry_out_some() or done
        finally:
            following = self._next()
            if following is not None:
                following.leads = True
                following.done.set()
            else:
                self._writing = False

    async def _carry_out_some(self) -> list[_Job[Any]]:
        """Carry out the first jobs that wait, in one transaction, and return them. None are left if another task was faster."""
        async with self._thread:
            batch, self._jobs = self._jobs[:_MOST], self._jobs[_MOST:]
            if batch:
                await self._in_thread(lambda: _transact(self.database, batch))
        for each in batch:
            each.done.set()
        return batch

    def _next(self) -> _Job[Any] | None:
        """The first job that a task waits for."""
        return next((one for one in self._jobs if not one.left), None)

    async def exists(self) -> bool:
        """Whether there is a ledger already."""
        self._check_open()
        async with self._thread:
            return await self._in_thread(self.database.exists)

    # Ownership

    @property
    def blocks(self) -> int:
        """How many blocks of this process own campaigns; see `owning`."""
        return self._owners.total()

    @asynccontextmanager
    async def owning(self, name: str, *, patience: float = _PATIENCE) -> AsyncIterator[None]:
        """A block in which this process owns a campaign. Blocks may be nested.

        Raises:
            LedgerOwnedError: another process owns it; see `own`.
        """
        if self._owners[name] == 0:
            await self.own(name, patience=patience)
        self._owners[name] += 1
        try:
            yield
        finally:
            self._owners[name] -= 1
            if self._owners[name] == 0:
                await self.disown(name)

    async def own(self, name: str, *, patience: float = _PATIENCE) -> None:
        """Become the owner of a campaign; on SQLite, of the whole ledger.

        Args:
            name: of the campaign.
            patience: seconds to try for while another process owns it; other commands do so for a moment.

        Raises:
            LedgerOwnedError: another process owns it.
            LedgerError: the database cannot be written.
        """
        self._check_open()
        until = anyio.current_time() + patience
        while True:
            try:
                async with self._thread:
                    await self._in_thread(lambda: self.database.own(name))
            except LedgerOwnedError:
                if anyio.current_time() >= until:
                    raise
            else:
                return
            await anyio.sleep(_AGAIN)

    async def disown(self, name: str) -> None:
        """Give up the ownership of a campaign."""
        settled = name not in self.unsettled
        self.unsettled.discard(name)
        await whole(self._disown(name, settled=settled))

    async def _disown(self, name: str, *, settled: bool) -> None:
        async with self._thread:
            await self._in_thread(lambda: self.database.disown(name, settled=settled))


def _transact(database: Database, jobs: list[_Job[Any]]) -> None:
    """Carry out jobs in one transaction. If one of several fails, each gets a transaction of its own."""
    results: dict[_Job[Any], Any] = {}
    try:
        with database.transaction():
            for job in jobs:
                if job.each and job not in results:
                    alike = [one for one in jobs if one.each and one.work == job.work]
                    results.update(zip(alike, job.work(database, [one.item for one in alike]), strict=True))
                elif not job.each:
                    results[job] = job.work(database)
    except BaseException as error:
        if len(jobs) == 1 or len(results) == len(jobs) or isinstance(error, (LedgerOwnedError, LedgerUnreachableError)):
            # A commit that failed may have been carried out after all, so that nothing is tried again; and none of them is to blame
            # for a database that cannot be reached.
            for job in jobs:
                job.error = error
            return
        for job in jobs:
            _transact(database, [job])
    else:
        for job in jobs:
            job.result = results[job]


def _database_of(where: str | PathLike[str] | Database) -> Database:
    if not isinstance(where, (str, PathLike)) and hasattr(where, "transaction"):
        return where
    if isinstance(where, str) and where.startswith(("postgresql://", "postgres://")):
        from ajoxi_async.dialer.storage.postgres import PostgresDatabase

        return PostgresDatabase(where)
    from ajoxi_async.dialer.storage.sqlite import SqliteDatabase

    return SqliteDatabase(where)  # type: ignore[arg-type]  # checks it
