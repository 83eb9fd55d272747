"""One connection to PostgreSQL: its URL, what a server has to be, and what happens if no answer comes.

Rules:
1. psycopg is used by its synchronous interface, in threads, because its asynchronous one does not run on trio.
2. A message never repeats the URL, a password, or the DETAIL of a server's error, which quotes rows. psycopg's errors are not
   chained to what is raised, because they carry both.
3. A server that could lose what it has committed is refused: ``synchronous_commit`` off, or a standby that only reads. So is one
   without ``idle_session_timeout``, before version 14, and a database that would translate or misread our texts: the name of a
   campaign that reads otherwise is another campaign, which calls everybody again.
4. Settings are made by ``SET``, because poolers refuse them in the startup packet. They are made for whatever a role, a database or
   the environment may have set otherwise.
5. A pooler that gives each transaction another session is refused, since locks and settings belong to sessions. It shows in the
   process id of the backend, which has to stay the same, and to be no other client's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from attrs import field, frozen

from ajoxi_async.contract.masking import mask
from ajoxi_async.dialer.storage.database import Row, Value
from ajoxi_async.dialer.storage.postgres_line import Line, Refused, Silent
from ajoxi_async.protocol.errors import ConfigurationError, LedgerError, LedgerOwnedError, LedgerUnreachableError

__all__ = ["Address", "Session", "parse_url"]

logger: logging.Logger = logging.getLogger("ajoxi_async.dialer")

#: Seconds to connect.
CONNECT_TIMEOUT: Final = 10
#: When TCP gives up a peer that has gone silent, by libpq's names.
_TCP: Final[Mapping[str, int]] = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
#: The first version with `idle_session_timeout`, as the server numbers it.
OLDEST: Final = 140_000
#: Encodings of a database that keep a text in UTF-8 as it is.
_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
#: What every session is set to, unless its owner asks for something else. Waits end by our patience, and not by a role's timeouts.
_SETTINGS: Final[Mapping[str, str | int]] = {
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "statement_timeout": 0,
    "lock_timeout": 0,
    "transaction_timeout": 0,
}
#: The schema with all tables of a ledger; a database has one ledger.
SCHEMA: Final = "ajoxi_dialer"
#: SQLSTATEs after which trying again later may help: connection failures (08), shutdown and start (57P), too many connections
#: (53300), a server that has become a standby (25006).
_PASSING: Final = re.compile(r"08...|57P..|53300|25006")
#: The SQLSTATE of a server, or a session, that only reads. A session keeps what it was set to when it began.
_READ_ONLY: Final = "25006"
#: The SQLSTATE of a lock that was not free within ``lock_timeout``. Only an owner-to-be sets that.
_LOCKED: Final = "55P03"
#: What could be a phone number in a message of the server.
_DIGITS: Final = re.compile(r"\d{7,}")
#: Servers of which this process has said already that they have `fsync = off`.
_WARNED: Final[set[str]] = set()


@frozen
class Address:
    """Where a ledger in PostgreSQL is.

    Attributes:
        parameters: of the connection, by libpq's names; a password may be among them.
        shown: host, port and database, for messages.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    shown: str

    def reason(self, error: Exception) -> str:
        """Why something failed, in one line, without what rule 2 forbids."""
        text = str(error) or type(error).__name__
        for name in ("password", "sslpassword"):
            if secret := self.parameters.get(name):
                text = text.replace(str(secret), "***")
        text = _DIGITS.sub("***", mask(" ".join(text.split())))[:300]
        return f"{text} (SQLSTATE {error.state})" if isinstance(error, Refused) and error.state else text


def parse_url(url: str) -> Address:
    """Read a URL such as ``postgresql://user:password@host:5432/database?sslmode=verify-full``.

    Raises:
        ConfigurationError: psycopg is not installed, or the URL cannot be right. The message does not repeat it.
    """
    psycopg = _library()
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        # libpq quotes the part that it does not understand, which may be the password.
        reason = re.split(r'["“]', str(error))[0].strip(" :\n")
        raise ConfigurationError(
            "ledger: expected a path or a URL such as postgresql://user@host:5432/database;"
            f" this one cannot be read ({reason}, not shown here)"
        ) from None
    host = given.get("host") or given.get("hostaddr") or given.get("service") or "local server"
    place = f"{host}:{given['port']}" if "port" in given else str(host)
    defaults = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "ajoxi-dialer", **_TCP}
    return Address({**defaults, **given}, mask(f"PostgreSQL at {place}, database {given.get('dbname', 'of the user')}"))


def _library() -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        missing = "psycopg" if error.name == "psycopg" else "libpq, which psycopg does not find here"
        raise ConfigurationError(
            f"ledger: PostgreSQL needs {missing}: pip install 'ajoxi-async[postgres]' 'psycopg[binary]'"
        ) from None
    return psycopg


class Session:
    """One connection, made when it is first used and made anew after it was lost. One thread at a time uses it.

    Args:
        address: see `parse_url`.
        settings: what is ``SET`` after connecting, by name.
        patience: seconds to wait for an answer.
        is_lost: whether no answer will come, as far as others know; asked while one is waited for.
    """

    def __init__(
        self,
        address: Address,
        settings: Mapping[str, str | int],
        patience: float,
        is_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self._psycopg: Any = _library()
        self._address = address
        self._settings = settings
        self._is_lost = is_lost
        #: Seconds to wait for an answer from now on.
        self.patience = patience
        #: The process id of the backend.
        self.backend = 0
        self._line: Line | None = None
        self._in_transaction = False

    @contextmanager
    def _use(self) -> Iterator[Line]:
        """The connection, with errors as this package's.

        Raises:
            LedgerUnreachableError: it cannot be made, was lost, or no answer came in time.
            LedgerError: PostgreSQL refused a statement.
            ConfigurationError: the server is refused (rule 3).
        """
        try:
            if self._line is None or not self._line.is_open:
                if self._in_transaction or self._is_lost():
                    raise Silent("the connection was lost")
                self._line = self._connect()
            yield self._line
        except (Silent, self._psycopg.Error) as error:
            raise LedgerUnreachableError(
                f"{self._address.shown} cannot be reached: {self._address.reason(error)}"
            ) from None
        except Refused as error:
            reason = self._address.reason(error)
            if error.state == _LOCKED:
                raise LedgerOwnedError("a transaction of the owner before is still open") from None
            if error.state == _READ_ONLY:
                self.close()
            if _PASSING.fullmatch(error.state):
                raise LedgerUnreachableError(f"{self._address.shown} cannot be used now: {reason}") from None
            raise LedgerError(f"{self._address.shown} refused a statement: {reason}") from None

    def execute(self, sql: str, *parameters: Value) -> list[Row]:
        """Carry out a statement and return its rows. Within a transaction an error may be raised by a later statement."""
        with self._use() as line:
            return line.execute(sql, parameters, self.patience)

    def copy(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Carry out a ``COPY ... FROM STDIN`` within a transaction."""
        with self._use() as line:
            line.copy(sql, rows, self.patience)

    @contextmanager
    def transaction(self, *first: str) -> Iterator[None]:
        """A transaction, with some statements at its beginning. A connection that is lost in it is not made anew in it."""
        try:
            with self._use() as line:
                line.begin(first, self.patience)
            self._in_transaction = True
            yield
            with self._use() as line:
                line.commit(self.patience)
        except BaseException:
            if self._line is not None:
                self._line.rollback(self.patience)
            raise
        finally:
            self._in_transaction = False

    def _connect(self) -> Line:
        with self._closed_on_failure() as line:
            self.backend = self._check_pooler(line)
            self._check(line)
            for name, value in {"search_path": SCHEMA, **_SETTINGS, **self._settings}.items():
                # From the list of settings, because an older server does not have all of them.
                sql = "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1"
                line.execute(sql, (name, str(value)), self.patience)
        return line

    @contextmanager
    def _closed_on_failure(self) -> Iterator[Line]:
        line = Line(self._psycopg.connect(**self._address.parameters, autocommit=True), self._is_lost)
        try:
            yield line
        except BaseException:
            line.close()
            raise

    def _check_pooler(self, line: Line) -> int:
        mine = [self._backend_of(line), self._backend_of(line)]
        if mine != [line.announced_backend] * 2:  # a pooler, perhaps one that gives each client a session
            with self._closed_on_failure() as other:
                theirs = [self._backend_of(other), self._backend_of(other)]
                mine.append(self._backend_of(line))
            other.close()
            if len(set(mine)) > 1 or set(mine) & set(theirs):
                raise self.pooler_error()
        return mine[0]

    def _backend_of(self, line: Line) -> int:
        ((backend,),) = line.execute("SELECT pg_backend_pid()", (), self.patience)
        return int(backend)

    def pooler_error(self) -> ConfigurationError:
        """The error for rule 5."""
        return ConfigurationError(
            f"ledger: {self._address.shown} is reached by a pooler that changes sessions between transactions, as PgBouncer does"
            " with pool_mode = transaction: a lock would be another client's. Connect to PostgreSQL itself, or by a pool with"
            " pool_mode = session"
        )

    def _check(self, line: Line) -> None:
        version = line.server_version
        if version < OLDEST:
            raise ConfigurationError(f"ledger: {self._address.shown} is version {version // 10_000}, and 14 is needed")
        ((in_recovery, synchronous_commit, fsync, encoding),) = line.execute(
            "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync'),"
            " current_setting('server_encoding')",
            (),
            self.patience,
        )
        if in_recovery:
            raise LedgerUnreachableError(
                f"{self._address.shown} is a standby that only reads; with several hosts in the URL,"
                " target_session_attrs=read-write finds the primary"
            )
        if encoding not in _ENCODINGS:
            raise ConfigurationError(
                f"ledger: {self._address.shown} has the encoding {encoding}, which does not keep every text as it is. Make a database"
                " for the ledger: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
            )
        if synchronous_commit == "off":
            raise ConfigurationError(
                f"ledger: {self._address.shown} has synchronous_commit = off for this user: a crash of the server would lose what"
                " was dialled, and it would be dialled again. Set it to on: ALTER ROLE ... SET synchronous_commit = on"
            )
        if fsync == "off" and self._address.shown not in _WARNED:
            _WARNED.add(self._address.shown)
            logger.warning("%s has fsync = off: it may lose the ledger if its machine crashes", self._address.shown)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._line is not None and self._line.is_open

    def fileno(self) -> int:
        """The socket, on which notifications arrive."""
        with self._use() as line:
            return line.fileno()

    def heard(self) -> None:
        """Forget the notifications that have arrived."""
        with self._use() as line:
            line.heard()

    def close(self) -> None:
        """Disconnect. Idempotent."""
        if self._line is not None:
            self._line.close()
            self._line = None
