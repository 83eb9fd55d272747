"""A PostgreSQL server of the tests' own, in a temporary folder, on a port of the loopback interface and a Unix socket."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

INSTALL = "a PostgreSQL server: apt-get install postgresql, or put the folder of initdb and postgres on the PATH"
PASSWORD = "pass word/%41"
#: The same password as part of a URL.
QUOTED_PASSWORD = "pass%20word%2F%2541"

#: Bytes that a server and some ledgers need.
_ROOM = 1 << 30
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "fsync": "off",  # the tests end processes, and never the machine
    "log_min_messages": "fatal",
    "autovacuum": "off",
    "jit": "off",
}


def find_binaries() -> Path | None:
    """The folder of the newest `initdb` and `postgres`, in Debian's place or on the path."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    found = sorted(versions, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.parent.name)])
    on_path = shutil.which("postgres")
    candidates = [*reversed(found), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((one for one in candidates if (one / "initdb").exists() and (one / "postgres").exists()), None)


class PostgresServer:
    """A server whose data is in a folder of its own. PostgreSQL refuses to run as root, so root runs it as somebody else."""

    def __init__(self, binaries: Path, *, on_disk: bool = False, **settings: str) -> None:
        self._binaries = binaries
        self._settings = {**_SETTINGS, **settings}
        memory = Path("/dev/shm")  # where the disk is not waited for
        in_memory = (
            not on_disk and memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
        )
        self._folder = Path(tempfile.mkdtemp(prefix="ajoxi-pg-", dir=memory if in_memory else None))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": _other_user(), "extra_groups": []}
            os.chown(self._folder, pwd.getpwnam(self._user["user"]).pw_uid, -1)
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        secret = self._folder / "password"
        secret.write_text(_quick_verifier(PASSWORD))
        secret.chmod(0o644)
        made = subprocess.run(
            [
                binaries / "initdb", "--pgdata", self._data, "--username", "ajoxi", "--pwfile", secret, "--no-sync",
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-instructions",
            ],
            capture_output=True, text=True, timeout=50, check=False, cwd=self._folder, **self._user,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._databases = 0
        self.start()

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """The address of a database, perhaps by way of a proxy on another port."""
        return f"postgresql://ajoxi:{QUOTED_PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is None:
            settings = [f"--{name}={value}" for name, value in self._settings.items()]
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres", "-D", self._data, "-p", str(self.port), "-k", self._folder, *settings,
                ],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder, **self._user,
            )  # fmt: skip
        for _ in range(500):
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("PostgreSQL does not answer")

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """End it at once, as a crash does; `SIGINT` ends it in order, with sessions closed."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def remove(self) -> None:
        """End it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def admin(self, url: str | None = None) -> Iterator[psycopg.Connection]:
        """A connection of the tests' own, each statement its own transaction."""
        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            yield connection

    def new_database(self) -> str:
        """Make an empty database, and give its URL."""
        self._databases += 1
        name = f"ledger_{self._databases}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.url(name)

    def end_sessions(self, database_url: str) -> int:
        """End every session of a database, as an administrator does; returns how many."""
        name = database_url.rpartition("/")[2]
        with self.admin() as connection:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", [name]
            ).fetchone()
        assert ended is not None
        return int(ended[0])

    @contextmanager
    def pooler(self, mode: str, round_robin: int = 0) -> Iterator[int]:
        """PgBouncer before this server, with the given `pool_mode`; gives its port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        users, settings = self._folder / "users.txt", self._folder / f"bouncer-{port}.ini"
        users.write_text(f'"ajoxi" "{PASSWORD}"\n')
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n"
            f"unix_socket_dir=\nauth_type=scram-sha-256\nauth_file={users}\npool_mode={mode}\n"
            f"server_round_robin={round_robin}\n"
        )
        binary = find_pooler()
        assert binary is not None
        process = subprocess.Popen([binary, "-q", settings], stderr=subprocess.DEVNULL, cwd=self._folder, **self._user)
        try:
            _await_port(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _quick_verifier(password: str) -> str:
    """What PostgreSQL keeps of a password, so that a login takes 1 round of hashing and not 4,096: the tests log in thousands of times."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client_key, server_key = (hmac.digest(salted, whose, "sha256") for whose in (b"Client Key", b"Server Key"))
    parts = (base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client_key).digest(), server_key))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*parts)


def _await_port(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"nothing listens on port {port}")


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def find_pooler() -> str | None:
    """The path of PgBouncer."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
