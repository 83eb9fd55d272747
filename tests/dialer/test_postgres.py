"""The adapter of PostgreSQL: ownership, what is refused, and what happens when the database goes away."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

from ajoxi_async import ConfigurationError
from ajoxi_async.dialer.rules.machine import Fact
from ajoxi_async.dialer.storage import postgres_owner
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.postgres import PostgresDatabase
from ajoxi_async.dialer.storage.postgres_owner import Ownership
from ajoxi_async.dialer.storage.statements import claims, facts, looks
from ajoxi_async.dialer.storage.statements.facts import Report, Rules
from ajoxi_async.protocol.errors import LedgerError, LedgerOwnedError, LedgerUnreachableError

from .cut_proxy import CutProxy
from .postgres_server import PASSWORD, PostgresServer, find_pooler

LEASE = 1.0
REQUEST_TIMEOUT = 0.5
QUIET = LEASE + REQUEST_TIMEOUT + postgres_owner.SKEW


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(url, **{"lease": LEASE, "request_timeout": REQUEST_TIMEOUT, **settings})
    try:
        database.open()
        yield database
    finally:
        database.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


def add_setting(database: PostgresDatabase, name: str) -> None:
    with database.transaction():
        database.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (name, 1))


def settings(database: PostgresDatabase) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM setting ORDER BY name")]


def test_one_owner(postgres: PostgresServer) -> None:
    """The second owner is refused with the name of the first, writes nothing, and takes over when the first leaves."""
    url = postgres.new_database()
    with opened(url) as first, opened(url) as second:
        first.own("autumn")
        with pytest.raises(LedgerOwnedError, match=r"process \d+ on .*, which is alive"):
            second.own("autumn")
        assert first.owned("autumn")
        assert not second.owned("autumn")
        with pytest.raises(LedgerOwnedError):
            add_setting(second, "stray")
        add_setting(first, "mine")
        first.disown("autumn")
        assert not first.owned("autumn")
        second.own("autumn")
        assert second.owned("autumn")
        assert settings(second) == ["mine"]
        with pytest.raises(LedgerOwnedError):
            add_setting(first, "late")


def test_campaigns_have_owners_of_their_own(postgres: PostgresServer) -> None:
    """Two machines may run two campaigns of one ledger; their transactions are one after the other."""
    url = postgres.new_database()
    with opened(url) as first, opened(url) as second:
        first.own("spring")
        second.own("autumn")
        with first.transaction():
            first.execute("INSERT INTO setting (name, value) VALUES ('a', 1)")
            writer = threading.Thread(target=add_setting, args=(second, "b"))
            writer.start()
            time.sleep(0.05)
            assert writer.is_alive(), "it does not wait for the transaction"
        writer.join()
        assert settings(first) == ["a", "b"]


def test_the_lease_goes_on_while_the_owner_lives(postgres: PostgresServer) -> None:
    """Each beat moves the end of the lease on, so that the owner is never without."""
    with opened(postgres.new_database(), lease=2.0) as database:
        database.own("autumn")
        seen = set()

        def beats() -> bool:
            assert database.owned("autumn")
            seen.add(database._owned["autumn"]._lease_until)
            return len(seen) == 3

        until(beats)


@pytest.mark.parametrize("when", ["before the epoch", "after the epoch"])
def test_a_session_that_is_ended_while_an_owner_begins(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A session that was made anew does not have the lock: the owner begins again, and blames no pooler, whose error ends a run."""
    raise_epoch = Ownership._raise_epoch

    def ended(ownership: Ownership) -> None:
        if when == "after the epoch":
            raise_epoch(ownership)
        with postgres.admin() as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [ownership._session.backend])
        for _ in range(2):  # The first statement finds out, and the second one is of a new session.
            with suppress(LedgerUnreachableError):
                ownership._session.execute("SELECT 1")
        if when == "before the epoch":
            raise_epoch(ownership)

    with opened(postgres.new_database()) as database:
        with monkeypatch.context() as patch:
            patch.setattr(Ownership, "_raise_epoch", ended)
            with pytest.raises(LedgerUnreachableError, match="ended the session"):
                database.own("autumn")
            assert not database.owned("autumn")
        database.own("autumn")
        assert database.owned("autumn")


def test_a_cut_owner_stops_before_another_can_begin(postgres: PostgresServer, line: CutProxy) -> None:
    """An owner that is cut off has no lease any more when the lock is free; the next one waits until its requests are over."""
    url = postgres.new_database()
    proxied = url.replace(str(postgres.port), str(line.port))
    with opened(proxied) as first, opened(url) as second:
        first.own("autumn")
        add_setting(first, "before")
        line.cut()
        with pytest.raises(LedgerOwnedError):
            second.own("autumn")
        until(lambda: not first.owned("autumn"))
        until(lambda: not refuses(second))
        assert 0 < second.quiet_in("autumn") <= QUIET
        line.mend()
        with pytest.raises((LedgerUnreachableError, LedgerOwnedError)):
            add_setting(first, "after")
        assert settings(second) == ["before"]


def test_an_attempt_after_the_idle_timeout(postgres: PostgresServer) -> None:
    """Who tries again after PostgreSQL has ended the idle connection of the last attempt is told who the owner is."""
    url = postgres.new_database()
    with opened(url, lease=60.0) as first, opened(url, lease=0.3) as second:
        first.own("autumn")
        assert refuses(second)
        kept = second._wanted["autumn"]._session.backend
        with postgres.admin() as admin:
            until(lambda: not admin.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [kept]).fetchall())
        assert refuses(second)
        assert second._wanted["autumn"]._session.backend != kept


def test_an_idle_ledger_keeps_its_connection(postgres: PostgresServer) -> None:
    """An idle_session_timeout of the database does not end the connection of a ledger that has nothing to do."""
    url = postgres.new_database()
    with postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET idle_session_timeout = '10s'")
    with opened(url) as database:
        assert database.execute("SELECT current_setting('idle_session_timeout')") == [("0",)]


def test_a_session_that_was_ended(postgres: PostgresServer) -> None:
    """pg_terminate_backend ends the ownership at once, and the next owner has to wait, unless it is the same process."""
    url = postgres.new_database()
    with opened(url, lease=60.0) as first:
        first.own("autumn")
        assert postgres.end_sessions(url) == 2
        until(lambda: not first.owned("autumn"))
        with pytest.raises(LedgerUnreachableError):
            add_setting(first, "lost")
        first.own("autumn")
        assert first.quiet_in("autumn") == 0, "it knows what it sent itself"
        add_setting(first, "kept")
        assert settings(first) == ["kept"]


def test_after_a_crash_the_next_owner_waits(postgres: PostgresServer) -> None:
    """The wait is the lease, the request timeout and the skew, of the former owner's settings if those are longer."""
    url = postgres.new_database()
    quiet = LEASE + 500.0 + postgres_owner.SKEW
    with opened(url, request_timeout=500.0) as first:
        first.own("autumn")
        postgres.end_sessions(url)
        until(lambda: not first.owned("autumn"))
        with opened(url) as second:
            second.own("autumn")
            assert quiet - 5 < second.quiet_in("autumn") <= quiet


def test_a_restart_of_the_server(postgres: PostgresServer) -> None:
    """What was committed is there after a crash of the server, and the owner becomes the owner again, with a higher epoch."""
    url = postgres.new_database()
    with opened(url) as database:
        database.own("autumn")
        add_setting(database, "kept")
        ((before,),) = database.execute("SELECT epoch FROM owner")
        with pytest.raises(LedgerUnreachableError), database.transaction():
            database.execute("INSERT INTO setting (name, value) VALUES ('lost', 1)")
            postgres.stop()
        until(lambda: not database.owned("autumn"))
        with pytest.raises(LedgerUnreachableError, match="cannot be reached"):
            database.own("autumn")
        postgres.start()
        database.own("autumn")
        assert settings(database) == ["kept"]
        ((after,),) = database.execute("SELECT epoch FROM owner")
        assert after > before


def test_a_lost_connection_is_not_made_anew_in_a_transaction(postgres: PostgresServer) -> None:
    """The second half of a transaction is not committed without its first."""
    url = postgres.new_database()
    with opened(url) as database:
        database.own("autumn")
        with pytest.raises(LedgerUnreachableError), database.transaction():
            database.execute("INSERT INTO setting (name, value) VALUES ('first half', 1)")
            postgres.end_sessions(url)
            with pytest.raises(LedgerUnreachableError):
                database.execute("SELECT 1")
            database.execute("INSERT INTO setting (name, value) VALUES ('second half', 1)")
    # By a connection of its own: the ownership was lost with the first one.
    with opened(url) as database:
        assert settings(database) == []


def test_a_transaction_that_failed_is_not_committed(postgres: PostgresServer) -> None:
    """If the error of a statement is swallowed, the commit says so; if nothing was read since, the commit raises it."""
    with opened(postgres.new_database()) as database:
        database.own("autumn")
        with pytest.raises(LedgerError, match="duplicate key"), database.transaction():
            database.execute("INSERT INTO setting (name, value) VALUES ('a', 1)")
            with pytest.raises(LedgerError, match="duplicate key"):
                database.execute("INSERT INTO setting (name, value) VALUES ('a', 1) RETURNING name")
        with pytest.raises(LedgerError, match="duplicate key"), database.transaction():
            for _ in range(2):
                database.execute("INSERT INTO setting (name, value) VALUES ('b', 1)")
        assert settings(database) == []
        add_setting(database, "c")
        assert settings(database) == ["c"]


def test_no_answer(postgres: PostgresServer, line: CutProxy) -> None:
    """A server that takes a statement and does not answer is given up after the patience, and closing does not hang."""
    url = postgres.new_database().replace(str(postgres.port), str(line.port))
    with opened(url) as database:
        database.own("autumn")
        database._session.patience = 0.3
        line.cut()
        with pytest.raises(LedgerUnreachableError, match="did not answer in time"):
            database.execute("SELECT 1")


def test_the_boot_clock_and_steps_end_the_lease(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slept has no lease, and neither has one whose wall clock moved against the boot clock."""
    with opened(postgres.new_database(), lease=30.0) as database:
        database.own("autumn")
        real_boot, real_wall = postgres_owner.boot_time, time.time
        with monkeypatch.context() as patch:
            patch.setattr(postgres_owner, "boot_time", lambda: real_boot() + 31)
            patch.setattr(time, "time", lambda: real_wall() + 31)
            assert not database.owned("autumn")
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real_wall() - 3600)
            assert not database.owned("autumn")
        assert database.owned("autumn")


def test_an_epoch_never_repeats(postgres: PostgresServer) -> None:
    """After a failover to a replica that has an older epoch, the new one is not the one of an owner before."""
    url = postgres.new_database()
    with opened(url) as database:
        database.own("autumn")
        ((before,),) = database.execute("SELECT epoch FROM owner")
        database.disown("autumn")
        database.execute("UPDATE owner SET epoch = epoch - 1000")
        time.sleep(0.002)
        database.own("autumn")
        ((after,),) = database.execute("SELECT epoch FROM owner")
        assert after > before


def test_commands_reach_the_owner_at_once(postgres: PostgresServer) -> None:
    """A command of another process is known to the owner without a question, long before the next beat, and in order."""
    url = postgres.new_database()
    with opened(url, lease=100.0) as owner, opened(url) as other:
        owner.own("autumn")
        assert owner.alarm() == 0
        id = other.post("pause", "{}", 17)
        until(lambda: owner.alarm() == id)
        second = other.post("dnc", '{"number": 1}', 18)
        until(lambda: owner.alarm() == second)
        assert [tuple(one) for one in owner.posted(id)] == [(second, 18, "dnc", '{"number": 1}')]
        owner.forget(second)
        assert owner.posted(0) == []


def test_loading(postgres: PostgresServer) -> None:
    """COPY takes numbers, texts with every special character, and nulls; a row that breaks a constraint undoes all."""
    rows = [("a\tb\\N\n", 2**62), ("\\.", -1), ("ü€😀", 0)]
    with opened(postgres.new_database()) as database:
        database.own("autumn")
        with database.transaction():
            database.load("setting", ["name", "value"], rows)
        assert sorted(database.execute("SELECT name, value FROM setting")) == sorted(rows)
        with pytest.raises(LedgerError), database.transaction():
            database.load("setting", ["name", "value"], [("new", 1), ("\\.", 2)])
        with pytest.raises(LedgerError, match="null character"), database.transaction():
            database.load("setting", ["name", "value"], [("new", 1), ("\0", 2)])
        with database.transaction():
            database.load("setting", ["name"], [("\\.",), ("new",), ("new",)], fixed={"value": 7}, key=["name"])
        assert sorted(database.execute("SELECT name, value FROM setting")) == sorted([*rows, ("new", 7)])
        ((total,),) = database.execute("SELECT sum(value) FROM setting")
        assert type(total) is int


def test_loaded_rows_have_ids_in_their_order(postgres: PostgresServer) -> None:
    """Rows without an id get ids above those of the table, in the order in which they are given; texts may be null."""
    with opened(postgres.new_database()) as database:
        database.own("autumn")
        columns = ["id", "campaign", "at", "who", "what", "detail"]
        with database.transaction():
            database.load("journal", columns, [(7, 1, 1, "a", "b", "c")])
            database.load("journal", columns[1:], [(1, 2, "z", "b", "c"), (1, 1, "y", "b", "c")])
            database.load(
                "rejected",
                ["line", "number", "reason", "key"],
                [(1, "x", "y", None)],
                fixed={"campaign": 1, "source": 1, "kind": 1},
            )
        assert database.execute("SELECT id, who FROM journal ORDER BY id") == [(7, "a"), (8, "z"), (9, "y")]
        assert database.execute("SELECT key, line FROM rejected") == [(None, 1)]


def test_a_load_prepares_no_statement_of_its_own(postgres: PostgresServer) -> None:
    """A second load carries out the statements of the first, so that a list of millions does not use up what is prepared."""
    prepared = []
    with opened(postgres.new_database()) as database:
        database.own("autumn")
        for number in range(3):
            with database.transaction():
                rows = [(1, number, "a", "b", "c")]
                database.load("journal", ["campaign", "at", "who", "what", "detail"], rows)
            prepared.append(database.execute("SELECT count(*) FROM pg_prepared_statements"))
    assert prepared[1] == prepared[2]


def rows_read(database: PostgresDatabase) -> int:
    """Rows that this session has read lately, this transaction included."""
    ((rows,),) = database.execute(
        "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE schemaname = 'ajoxi_dialer'"
    )
    return int(rows)


def test_a_dial_reads_what_it_changes(postgres: PostgresServer) -> None:
    """Claims and answers read the rows that they are about, in tables of which PostgreSQL has no statistics, however they grow."""
    columns = ["id", "campaign", "number", "zones", "state", "due", "tries", "source", "line"]
    many, some = 2_000, 10
    rules = Rules(3, lambda *_: None, 0, 0)
    with opened(postgres.new_database()) as database:
        database.own("autumn")
        with database.transaction():
            database.load("contact", columns, ((n, 1, n, 1, 0, n, 0, 1, n) for n in range(1, many + 1)))
        for _ in range(30):
            with database.transaction():
                before = rows_read(database)
                found = claims.candidates(database, 1, claims.waiting_zones(database, 1), many, some)
                claimed = claims.claim(
                    database, 1, found, many, Counter(), from_of=lambda _: 1, allowed_at=lambda *_: 0.0, history=1.0
                )
                assert len(claimed) == some
                placed = [Report(one.id, Fact.PLACED, f"call {one.id}") for one in claimed]
                facts.record(database, 1, placed, many, rules, Counter())
                looks.postpone(database, [(one.id, many) for one in claimed])
                # In the last round there are 300 attempts, and 1,700 contacts that wait.
                assert rows_read(database) - before <= 20 * some


def test_no_secret_and_no_number_is_told(postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the password nor a phone number is in a message, a repr, a log or a traceback."""
    url = postgres.new_database()
    told: list[str] = []
    number = 14_155_550_123
    wrong_cast = f"SELECT '{number}x'::bigint"
    with caplog.at_level(logging.DEBUG), opened(url) as database:
        told += [repr(database), repr(Ledger(url))]
        database.own("autumn")
        with pytest.raises(LedgerError) as caught, database.transaction():
            for _ in range(2):
                database.execute("INSERT INTO dnc (number, scope, since) VALUES (?, ?, ?)", (number, 0, 0))
        told += traceback.format_exception(caught.value)
        with pytest.raises(LedgerError) as caught:
            database.execute(wrong_cast)
        told += traceback.format_exception(caught.value)
    wrong = url.replace("ajoxi:", "nobody:")
    for bad in (
        wrong,
        f"postgresql://a:{PASSWORD}@h:x/d",
        "postgresql://a:pass word@h/d?pass=word",
        "postgresql://a:p%zzword@h/d",
    ):
        with pytest.raises((LedgerError, ConfigurationError)) as refused:
            PostgresDatabase(bad).open()
        told += traceback.format_exception(refused.value)
    told += caplog.messages
    text = "".join(told)
    assert "word" not in text.replace("password", "")
    assert "5550123" not in text


def test_what_is_refused(postgres: PostgresServer) -> None:
    """A server that forgets what it committed, and a ledger of a newer version, are refused with what to do about it."""
    url = postgres.new_database()
    with opened(url) as database:
        database.own("autumn")
        database.execute("UPDATE version SET schema = 99")
    with pytest.raises(LedgerError, match="newer version"):
        PostgresDatabase(url).open()
    with postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    with pytest.raises(ConfigurationError, match="ALTER ROLE"):
        PostgresDatabase(url).open()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        PostgresDatabase("postgresql://h/d?nonsense=1")


def test_a_database_that_only_read_for_a_while(postgres: PostgresServer) -> None:
    """A session that began while the database only read is made anew: the ledger can be written as soon as the database can."""
    url = postgres.new_database()
    read_only = f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only ="
    with opened(url) as database:
        database.own("autumn")
        add_setting(database, "before")
        database._session.close()
        with postgres.admin() as admin:
            admin.execute(f"{read_only} on")
            with pytest.raises(LedgerUnreachableError, match="25006"):
                add_setting(database, "meanwhile")
            admin.execute(f"{read_only} off")
        add_setting(database, "after")
        assert settings(database) == ["after", "before"]


@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout"])
def test_a_role_with_a_timeout_of_its_own(postgres: PostgresServer, name: str) -> None:
    """How long a ledger waits for an answer is its own patience, whatever the role or the database has been given."""
    url = postgres.new_database()
    with postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET {name} = '1min'")
    with opened(url) as database:
        database.own("autumn")
        assert database.execute("SELECT current_setting(?)", (name,)) == [("0",)]


def test_texts_that_an_encoding_of_the_environment_changes(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger's texts are the same for every reader, whatever client encoding the environment or the database asks for."""
    url = postgres.new_database()
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with opened(url) as database:
        database.own("autumn")
        add_setting(database, "Zoë")
    monkeypatch.delenv("PGCLIENTENCODING")
    with opened(url) as database:
        assert settings(database) == ["Zoë"]


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
def test_a_database_whose_encoding_changes_texts(postgres: PostgresServer, encoding: str) -> None:
    """A database that is not in UTF-8 is refused, and the message says how to make one that is."""
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    with postgres.admin() as admin:
        admin.execute(f"DROP DATABASE {name}")
        admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match=f"{encoding}.*ENCODING 'UTF8'"):
        PostgresDatabase(url).open()


def test_other_tables_are_left_alone(postgres: PostgresServer) -> None:
    """Tables of the same names in the database are another application's, and neither read nor changed."""
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE contact (id int); CREATE TABLE version (schema text)")
        with opened(url) as database:
            database.own("autumn")
            assert database.execute("SELECT count(*) FROM contact") == [(0,)]
        assert other.execute("SELECT count(*) FROM contact").fetchone() == (0,)


@pytest.mark.parametrize("robin", [0, 1])
def test_a_pooler_of_transactions_is_refused(postgres: PostgresServer, missing: Any, robin: int) -> None:
    """PgBouncer with pool_mode = transaction is refused, with a cold and a warm pool; with session it is not."""
    if find_pooler() is None:
        missing("PgBouncer: apt-get install pgbouncer")
    name = postgres.new_database().rpartition("/")[2]
    with postgres.pooler("transaction", robin) as port:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="pool_mode = session"):
                PostgresDatabase(postgres.url(name, port)).open()
            others = [psycopg.connect(postgres.url(name, port)) for _ in range(3)]
            for other in others:
                other.execute("SELECT 1")
            for other in others:
                other.close()
    with postgres.pooler("session", robin) as port, opened(postgres.url(name, port)) as database:
        database.own("autumn")
        add_setting(database, "kept")
        assert database.owned("autumn")


def test_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"ajoxi-async\[postgres\]"):
        PostgresDatabase("postgresql://localhost/x")


def test_the_wait_outlives_owners_in_between(postgres: PostgresServer) -> None:
    """Whoever takes a campaign for a moment, to give a command, does not shorten the wait after a crash; nor does losing it."""
    url = postgres.new_database()
    with opened(url, request_timeout=500.0) as first:
        first.own("autumn")
        postgres.end_sessions(url)
        until(lambda: not first.owned("autumn"))
        with opened(url) as command, opened(url) as next_one:
            command.own("autumn")
            left = command.quiet_in("autumn")
            assert left > 480.0
            command.disown("autumn")
            next_one.own("autumn")
            assert left - 10 < next_one.quiet_in("autumn") <= left
            next_one.disown("autumn")
            next_one.own("autumn")
            assert left - 20 < next_one.quiet_in("autumn") <= left


def test_a_transaction_of_a_cut_owner_is_ended(postgres: PostgresServer, line: CutProxy) -> None:
    """An owner that is cut off within a transaction does not keep the next one waiting for more than two leases."""
    url = postgres.new_database()
    with opened(url.replace(str(postgres.port), str(line.port))) as first, opened(url) as second:
        first.own("autumn")
        with pytest.raises(LedgerUnreachableError), first.transaction():
            first.execute("INSERT INTO setting (name, value) VALUES ('lost', 1) RETURNING name")
            line.cut()
            until(lambda: not refuses(second))
            first.execute("SELECT 1")
        assert settings(second) == []


def refuses(database: PostgresDatabase) -> bool:
    try:
        database.own("autumn")
    except LedgerOwnedError:
        return True
    return False


def test_an_owner_that_leaves_requests_behind(postgres: PostgresServer) -> None:
    """Whoever leaves while requests are under way makes the next owner wait, itself as well, for as long as they can take."""
    url = postgres.new_database()
    with opened(url, request_timeout=500.0) as first, opened(url) as second:
        first.own("autumn")
        first.disown("autumn", settled=False)
        second.own("autumn")
        assert 480 < second.quiet_in("autumn") <= 500 + postgres_owner.SKEW
        second.disown("autumn")
        first.own("autumn")
        assert 460 < first.quiet_in("autumn") <= 500 + postgres_owner.SKEW
