"""Statements on one connection to PostgreSQL, by libpq's pipeline mode.

Rules:
1. Within a transaction only statements that return rows are waited for. The others are sent and their results are read later, with
   the next rows or before the commit: a statement then takes 25 microseconds instead of 150, and an error of it is raised later.
2. A commit is sent after the results of everything before it were read and found in order.
3. An answer is waited for until its patience is over; then the connection is closed, and whoever waited gets an error. No timer of
   TCP would notice a server, or a proxy, that acknowledges and does not answer.
4. Nothing that blocks is called while Python's lock is held: sockets are waited for by a selector.
5. Statements of transactions are prepared, and the server infers the types of their parameters. The interface of psycopg's cursors is not used: it
   infers types from values and takes three times as long.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ajoxi_async.dialer.storage.database import Row, Value

if TYPE_CHECKING:
    import psycopg

__all__ = ["Line", "Refused", "Silent", "array_text", "copy_text"]

#: Most statements whose results are not read yet, so that neither side's buffers fill up.
_MOST_PENDING: Final = 200
#: Most prepared statements of a connection. Their texts are ours, and lists of different lengths make a few hundred.
_MOST_PREPARED: Final = 400
#: Seconds after which it is asked whether the answer is lost.
_LOOK: Final = 0.25
#: Bytes of rows that are sent together.
_BLOCK: Final = 65_536

#: SQLSTATEs with which PostgreSQL ends a connection: it shuts down, an administrator or a timeout ended the session.
_ENDS: Final = ("57P", "25P03")

_whole: Final[Callable[[bytes], Any]] = int
#: How values of a type are read, by its oid: bool, int8, int2, int4, numeric (the sum of int8), float8. Others are texts.
_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    16: lambda value: value == b"t",
    20: _whole,
    21: _whole,
    23: _whole,
    1700: lambda value: float(value) if b"." in value else int(value),
    701: float,
}


class Refused(Exception):
    """PostgreSQL refused a statement. It does not leave the package."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class Silent(Exception):
    """No answer came in time, or the connection is gone. It does not leave the package."""


class Line:
    """One connection. One thread at a time uses it.

    Args:
        connection: of psycopg, in autocommit mode and idle. It is used by nobody else from now on.
        is_lost: whether no answer will come, as far as others know; asked while one is waited for.
    """

    def __init__(self, connection: psycopg.Connection[Any], is_lost: Callable[[], bool]) -> None:
        from psycopg import pq

        self._pq = pq
        self._connection = connection
        self._is_lost = is_lost
        self._link = connection.pgconn
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection.fileno(), selectors.EVENT_READ)
        self._names: dict[str, bytes] = {}
        self._numbers = 0
        #: For each result to come: the statement that was prepared, or "" for one that was carried out.
        self._pending: deque[str] = deque()
        self._in_transaction = False
        #: What broke the transaction. Everything until its end fails for the same reason.
        self._broken_by: Refused | None = None
        #: The process id of the backend as the connection was made. A pooler tells one of its own.
        self.announced_backend: int = connection.info.backend_pid
        self.server_version: int = connection.info.server_version

    @property
    def is_open(self) -> bool:
        """Whether the connection is usable, as far as is known without asking."""
        return not self._connection.closed

    def fileno(self) -> int:
        """The socket, for a selector."""
        return self._connection.fileno()

    def close(self) -> None:
        """Disconnect. Idempotent."""
        self._selector.close()
        self._connection.close()

    # Statements

    def execute(self, sql: str, parameters: Sequence[Value], patience: float) -> list[Row]:
        """Carry out a statement and return its rows. Within a transaction one without rows is only sent (rule 1)."""
        if self._in_transaction:
            self._send(sql, parameters)
            if sql.startswith("SELECT") or "RETURNING" in sql:
                return self._rows(self._collect(patience))
            if len(self._pending) > _MOST_PENDING:
                self._collect(patience)
            return []
        self._link.enter_pipeline_mode()
        try:
            self._send(sql, parameters)
            return self._rows(self._collect(patience))
        finally:
            self._leave_pipeline()

    def begin(self, first: Iterable[str], patience: float) -> None:
        """Begin a transaction, and carry out some statements without parameters at its beginning."""
        assert not self._in_transaction
        self._link.enter_pipeline_mode()
        self._in_transaction = True
        self._send("BEGIN", ())
        for sql in first:
            self.execute(sql, (), patience)

    def commit(self, patience: float) -> None:
        """Commit. If it raises `Silent`, it is not known whether the transaction was committed."""
        self._collect(patience)
        self._send("COMMIT", ())
        result = self._collect(patience)
        self._in_transaction = False
        self._leave_pipeline()
        if result.command_status != b"COMMIT":  # A COMMIT of a transaction that failed is a ROLLBACK, and no error.
            raise Refused("the transaction was rolled back", "25P02")

    def rollback(self, patience: float) -> None:
        """Give up the transaction, whatever became of it."""
        if not self._in_transaction or not self.is_open:
            self._in_transaction = False
            return
        try:
            try:
                self._collect(patience)
            except Refused:
                pass
            self._broken_by = None
            self._send("ROLLBACK", ())
            self._collect(patience)
        except (Refused, Silent):
            self.close()
        finally:
            self._in_transaction, self._broken_by = False, None
            self._leave_pipeline()

    def copy(self, sql: str, rows: Iterable[Sequence[Value]], patience: float) -> None:
        """Carry out a ``COPY ... FROM STDIN`` within a transaction."""
        status = self._pq.ExecStatus
        self._collect(patience)
        self._link.exit_pipeline_mode()
        try:
            self._link.send_query(sql.encode())
            result = self._next(patience)
            self._check(result, status.COPY_IN)
            block: list[str] = []
            size = 0
            try:
                for row in rows:
                    block.append(line := copy_text(row))
                    size += len(line)
                    if size >= _BLOCK:
                        self._put("".join(block).encode(), patience)
                        block, size = [], 0
                self._put("".join(block).encode(), patience)
            except BaseException:
                self._end_copy(b"given up", patience)
                raise
            self._check(self._end_copy(None, patience), status.COMMAND_OK)
        finally:
            if self.is_open:
                self._link.enter_pipeline_mode()

    def _put(self, block: bytes, patience: float) -> None:
        while block and self._link.put_copy_data(block) == 0:
            self._flush(time.monotonic() + patience)
        self._flush(time.monotonic() + patience)

    def _end_copy(self, error: bytes | None, patience: float) -> Any:
        while self._link.put_copy_end(error) == 0:
            self._flush(time.monotonic() + patience)
        self._flush(time.monotonic() + patience)
        first = result = self._next(patience)
        while result is not None:
            result = self._next(patience)
        return first

    def heard(self) -> None:
        """Forget the notifications that came. They only woke whoever waits for the socket."""
        while self._link.notifies() is not None:
            pass

    # The pipeline

    def _send(self, sql: str, parameters: Sequence[Value]) -> None:
        if self._broken_by is not None:
            raise self._broken_by
        values = [_sent(value) for value in parameters]
        try:
            name = self._names.get(sql)
            if name is None and self._in_transaction and len(self._names) < _MOST_PREPARED:
                self._numbers += 1
                name = self._names[sql] = b"s%d" % self._numbers
                self._link.send_prepare(name, sql.encode())
                self._pending.append(sql)
            if name is None:
                self._link.send_query_params(sql.encode(), values)
            else:
                self._link.send_query_prepared(name, values)
            self._pending.append("")
        except self._error as error:
            raise Silent(str(error)) from None

    @property
    def _error(self) -> type[Exception]:
        import psycopg

        return psycopg.Error

    def _collect(self, patience: float) -> Any:
        """Wait for all results that are to come, and return the last one.

        Each wait is a sync, because a server that waits for more of a pipeline does not count as idle, and its timeouts do not run.
        """
        until = time.monotonic() + patience
        try:
            self._link.pipeline_sync()
            self._flush(until)
            last, failed = None, None
            while self._pending:
                prepared = self._pending.popleft()
                last = self._next(until - time.monotonic())
                while self._next(until - time.monotonic()) is not None:
                    pass
                if last is not None and self._failure(last) is not None:
                    self._names.pop(prepared, None)
                    failed = failed or self._failure(last)
            self._next(until - time.monotonic())
        except self._error as error:
            self.close()
            raise Silent(str(error)) from None
        if failed is not None:
            if failed.state.startswith(_ENDS) or self._link.status == self._pq.ConnStatus.BAD:
                self.close()
            if self._in_transaction:
                self._broken_by = failed
            raise failed
        return last

    def _next(self, patience: float) -> Any:
        """The next result, or ``None`` between those of two statements."""
        until = time.monotonic() + patience
        while self._link.is_busy():
            self._wait(selectors.EVENT_READ, until)
            self._link.consume_input()
        return self._link.get_result()

    def _flush(self, until: float) -> None:
        while self._link.flush():
            # The server may be waiting for us to read before it reads on.
            self._wait(selectors.EVENT_READ | selectors.EVENT_WRITE, until)
            self._link.consume_input()

    def _wait(self, events: int, until: float) -> None:
        left = until - time.monotonic()
        number = self._connection.fileno()
        if events != selectors.EVENT_READ:
            self._selector.modify(number, events)
        try:
            ready = left > 0 and self._selector.select(min(left, _LOOK))
        finally:
            if events != selectors.EVENT_READ:
                self._selector.modify(number, selectors.EVENT_READ)
        if not ready and (left <= _LOOK or self._is_lost()):
            self.close()
            raise Silent("it did not answer in time")

    def _leave_pipeline(self) -> None:
        if self.is_open and not self._pending:
            try:
                self._link.exit_pipeline_mode()
            except self._error:
                self.close()

    def _check(self, result: Any, wanted: Any) -> None:
        failure = self._failure(result)
        if failure is not None:
            raise failure
        if result.status != wanted:
            raise Refused(f"it answered {result.status} to a COPY", "08P01")

    def _failure(self, result: Any) -> Refused | None:
        status = self._pq.ExecStatus
        if result.status not in {status.FATAL_ERROR, status.PIPELINE_ABORTED}:
            return None
        fields = self._pq.DiagnosticField
        message = result.error_field(fields.MESSAGE_PRIMARY) or result.error_message
        state = result.error_field(fields.SQLSTATE) or b""
        return Refused(message.decode("utf-8", "replace") or "it gave up", state.decode())

    def _rows(self, result: Any) -> list[Row]:
        if result is None or not (height := result.ntuples):
            return []
        get = result.get_value
        columns = []
        for column in range(result.nfields):
            read = _READERS.get(result.ftype(column), _text)
            values = (get(row, column) for row in range(height))
            columns.append([None if value is None else read(value) for value in values])
        return list(zip(*columns, strict=True))


def _text(value: bytes) -> str:
    return value.decode()


def _sent(value: Value) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, str):
        return _checked(value).encode()
    return repr(value).encode()


_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _checked(text: str) -> str:
    if "\0" in text:
        raise Refused("a text with a null character cannot be kept", "22021")
    return text


def array_text(values: Iterable[Value]) -> str:
    """Values of one type as an array, as a parameter has it: ``{1,NULL,"text"}``."""
    return "{" + ",".join(["NULL" if value is None else _element(value) for value in values]) + "}"


def _element(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(int(value)) if isinstance(value, int) else repr(value)


def copy_text(row: Sequence[Value]) -> str:
    r"""A row in the text format of ``COPY``: tabs between values, ``\N`` for none."""
    values = []
    for value in row:
        if value is None:
            values.append("\\N")
        elif isinstance(value, str):
            values.append(_checked(value).translate(_ESCAPES))
        elif isinstance(value, int):
            values.append(str(int(value)))
        else:
            values.append(repr(value))
    return "\t".join(values) + "\n"
