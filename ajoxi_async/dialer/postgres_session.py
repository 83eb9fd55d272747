"""One connection to PostgreSQL: its URL, what a server has to be, and what happens if no answer comes.

Rules:
1. psycopg is used by its synchronous interface, in threads, because its asynchronous one does not run on trio.
2. A message never repeats the URL, a password, or the DETAIL of a server's error, which quotes rows. psycopg's errors are not
   chained to what is raised, because they carry both.
3. A server that could lose what it has committed is refused: ``synchronous_commit`` off, or a standby that only reads. So is one
   without ``idle_session_timeout``, before version 14.
4. A statement that is not answered within its patience ends the connection: another thread shuts down the socket, because TCP's
   own timers do not notice a server, or a proxy, that acknowledges and does not answer.
5. Settings are made by ``SET``, because poolers refuse them in the startup packet.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from ajoxi_async.contract.masking import mask
from ajoxi_async.protocol.errors import ConfigurationError, LedgerError, LedgerUnreachableError

if TYPE_CHECKING:
    import psycopg

__all__ = ["Address", "Session", "Watch", "parse_url"]

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
#: The schema with all tables of a ledger; a database has one ledger.
SCHEMA: Final = "ajoxi_dialer"
#: Seconds between two looks for statements that are late.
WATCH_EVERY: Final = 0.1
#: SQLSTATEs after which trying again later may help: connection failures (08), shutdown and start (57P), too many connections
#: (53300), a server that has become a standby (25006).
_PASSING: Final = re.compile(r"08...|57P..|53300|25006")
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

    def reason(self, error: BaseException) -> str:
        """Why something failed, in one line, without what rule 2 forbids."""
        diagnosis = getattr(error, "diag", None)
        text = getattr(diagnosis, "message_primary", None) or str(error) or type(error).__name__
        for name in ("password", "sslpassword"):
            if secret := self.parameters.get(name):
                text = text.replace(str(secret), "***")
        state = getattr(error, "sqlstate", None)
        text = _DIGITS.sub("***", mask(" ".join(text.split())))[:300]
        return f"{text} (SQLSTATE {state})" if state else text


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
    """

    def __init__(self, address: Address, settings: Mapping[str, str | int]) -> None:
        self._psycopg: Any = _library()
        self._address = address
        self._settings = settings
        self._connection: psycopg.Connection[Any] | None = None
        # When the statement under way is given up, by the monotonic clock; guarded, so that no later statement is hung up on.
        self._give_up_at: float | None = None
        self._was_late = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._connection is not None and not self._connection.closed

    @contextmanager
    def use(self, patience: float, *, reconnect: bool = True) -> Iterator[psycopg.Connection[Any]]:
        """Use the connection for at most `patience` seconds.

        Args:
            reconnect: whether a connection that was lost is made anew. Not within a transaction.

        Raises:
            LedgerUnreachableError: it cannot be made, was lost, or no answer came in time.
            LedgerError: PostgreSQL refused a statement.
            ConfigurationError: the server is refused (rule 3).
        """
        try:
            if not self.is_open and (reconnect or self._connection is None):
                self._connection = self._connect()
            with self._lock:
                self._give_up_at, self._was_late = time.monotonic() + patience, False
            assert self._connection is not None
            yield self._connection
        except self._psycopg.Error as error:
            raise self._error(error, patience) from None
        finally:
            with self._lock:
                self._give_up_at = None

    def _error(self, error: Exception, patience: float) -> LedgerError:
        where = self._address.shown
        if self._was_late:
            return LedgerUnreachableError(f"{where} did not answer within {patience:g} s")
        reason = self._address.reason(error)
        if not self.is_open or _PASSING.fullmatch(getattr(error, "sqlstate", None) or ""):
            return LedgerUnreachableError(f"{where} cannot be reached: {reason}")
        return LedgerError(f"{where} refused a statement: {reason}")

    def _connect(self) -> psycopg.Connection[Any]:
        psycopg = self._psycopg
        connection = psycopg.connect(**self._address.parameters, autocommit=True, cursor_factory=psycopg.RawCursor)
        try:
            self._check(connection)
            settings = {"search_path": SCHEMA, "default_transaction_isolation": "read committed", **self._settings}
            for name, value in settings.items():
                connection.execute("SELECT set_config($1, $2, false)", [name, str(value)])
            connection.adapters.register_loader("numeric", _whole_number_loader(psycopg))
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: psycopg.Connection[Any]) -> None:
        version = connection.info.server_version
        if version < OLDEST:
            raise ConfigurationError(f"ledger: {self._address.shown} is version {version // 10_000}, and 14 is needed")
        found = connection.execute(
            "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync')"
        ).fetchone()
        assert found is not None
        in_recovery, synchronous_commit, fsync = found
        if in_recovery:
            raise LedgerUnreachableError(
                f"{self._address.shown} is a standby that only reads; with several hosts in the URL,"
                " target_session_attrs=read-write finds the primary"
            )
        if synchronous_commit == "off":
            raise ConfigurationError(
                f"ledger: {self._address.shown} has synchronous_commit = off for this user: a crash of the server would lose what"
                " was dialled, and it would be dialled again. Set it to on: ALTER ROLE ... SET synchronous_commit = on"
            )
        if fsync == "off" and self._address.shown not in _WARNED:
            _WARNED.add(self._address.shown)
            logger.warning("%s has fsync = off: it may lose the ledger if its machine crashes", self._address.shown)

    def hang_up_if_late(self, now: float) -> None:
        """End the connection if the statement under way is late. Any thread may call it."""
        with self._lock:
            if self._give_up_at is None or now < self._give_up_at or self._connection is None:
                return
            self._give_up_at, self._was_late = None, True
            self._hang_up(self._connection)

    def _hang_up(self, connection: psycopg.Connection[Any]) -> None:
        # `close` of psycopg would wait for the thread that waits for the answer.
        with suppress(OSError, self._psycopg.Error):
            duplicate = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            with duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(self._psycopg.Error):
                connection.close()


def _whole_number_loader(psycopg: Any) -> Any:
    """``sum`` of BIGINT is NUMERIC in PostgreSQL, and an integer in SQLite."""

    class WholeNumberLoader(psycopg.adapt.Loader):  # type: ignore[misc]
        def load(self, data: Any) -> int | float:
            text = bytes(data)
            return float(text) if b"." in text else int(text)

    return WholeNumberLoader


class Watch:
    """A thread that hangs up on servers that do not answer. It ends with `close`."""

    def __init__(self) -> None:
        self._sessions: list[Session] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, session: Session) -> None:
        """Watch a session as well."""
        self._sessions = [*self._sessions, session]
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ajoxi-ledger-watch", daemon=True)
            self._thread.start()

    def remove(self, session: Session) -> None:
        """Watch a session no more."""
        self._sessions = [one for one in self._sessions if one is not session]

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(WATCH_EVERY):
            now = time.monotonic()
            for session in self._sessions:
                session.hang_up_if_late(now)
