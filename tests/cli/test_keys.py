"""Where keys come from: profiles, the environment, the keyring."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from keyring.backend import KeyringBackend

from ajoxi_async.cli.keys.choice import chosen
from ajoxi_async.cli.keys.profiles import Profile, change_profiles, folder, read_profiles
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.sandbox.storage.file_lock import FileLock

from .conftest import FROM, TO, Server
from .terminal import COMMAND, Terminal

Run = Callable[..., tuple[int, str, str]]
posix = pytest.mark.skipif(os.name != "posix", reason="needs modes of files")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a line into standard input."""

    def put(line: str) -> None:
        import io

        monkeypatch.setattr(sys, "stdin", io.StringIO(line))

    return put


@pytest.fixture
def no_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A sandbox whose key is not in the environment."""
    for name in server.environment:
        monkeypatch.delenv(name)
    return server


@posix
def test_login(no_key: Server, ajoxi: Run, typed: Callable[[str], None], tmp_path: Path) -> None:
    """A key is kept in a file that only its owner can read, and used from then on; it is never shown."""
    server, key = no_key.sandbox, no_key.sandbox.api_key
    assert ajoxi("calls", "list")[0] == 3
    typed(f"{key}\n")
    status, out, errors = ajoxi("login", "--base-url", server.base_url)
    assert (status, errors) == (0, "")
    assert out.startswith(f"Profile default: a test key for {server.base_url}, kept in ")
    kept = tmp_path / "settings" / "profiles.json"
    assert (stat.S_IMODE(kept.stat().st_mode), stat.S_IMODE(kept.parent.stat().st_mode)) == (0o600, 0o700)
    assert [name.name for name in kept.parent.iterdir()] == ["profiles.json"]
    assert ajoxi("calls", "create", "--to", TO, "--from", FROM)[0] == 0
    assert len(server.world().rings()) == 1
    status, out, _ = ajoxi("profiles")
    assert out == f"default  AJX_TEST_***  {server.base_url}\n"
    assert ajoxi("logout") == (0, "Profile default is forgotten.\n", "")
    assert (ajoxi("calls", "list")[0], ajoxi("logout")[0]) == (3, 3)
    assert key not in out


def test_a_key_that_the_api_refuses(no_key: Server, ajoxi: Run, typed: Callable[[str], None]) -> None:
    """It is not kept, and the status says why; --no-check keeps it unasked."""
    url = no_key.sandbox.base_url
    no_key.call(lambda: no_key.sandbox.faults.add(match="calls.list", when="nth", n=1, action="status", status=401))
    typed(no_key.sandbox.api_key)
    assert ajoxi("login", "--base-url", url)[0] == 4
    assert ajoxi("profiles") == (0, "", "")
    typed(no_key.call(lambda: no_key.sandbox.mint_key(deny={"calls.list"})))
    assert ajoxi("login", "--base-url", url, "--profile", "writer")[0] == 0
    assert ajoxi("logout", "--profile", "writer")[0] == 0
    typed("AJX_TEST_x y\n")
    assert ajoxi("login")[0] == 3
    typed("\n")
    status, _, said = ajoxi("login")
    assert (status, said) == (3, "ajoxi: expected the key in the terminal, or as a line of standard input\n")
    typed("sk_123\n")
    status, _, said = ajoxi("login")
    assert (status, said.startswith("ajoxi: api_key: expected AJX_LIVE_")) == (3, True)
    typed("AJX_TEST_unasked\n")
    assert ajoxi("login", "--no-check", "--profile", "a")[0] == 0
    assert ajoxi("profiles")[1].startswith("a  AJX_TEST_***")


def test_a_key_is_no_argument(ajoxi: Run) -> None:
    """There is no option for a key, because others see arguments."""
    assert ajoxi("login", "AJX_TEST_x")[0] == 2
    assert ajoxi("login", "--api-key", "AJX_TEST_x")[0] == 2


def test_typing_a_key(no_key: Server, tmp_path: Path) -> None:
    """On a terminal the key is asked for, and not echoed."""
    key = no_key.sandbox.api_key
    terminal = Terminal(
        [*COMMAND, "login", "--profile", "mine", "--base-url", no_key.sandbox.base_url], 80, TERM="xterm",
        AJOXI_CONFIG_DIR=str(tmp_path / "s"),
    )  # fmt: skip
    terminal.read(b"API key for profile mine: ")
    terminal.type(key.encode() + b"\n")
    assert terminal.end() == 0
    assert b"Profile mine: a test key" in terminal.shown
    assert key.encode() not in terminal.shown


def test_which_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is named goes before the environment's key, this before AJOXI_PROFILE, and this before the default one."""
    profiles = {name: Profile(f"AJX_TEST_{name}", f"http://{name}") for name in ("default", "a", "b")}
    monkeypatch.setattr("ajoxi_async.cli.keys.choice.read_profiles", lambda: profiles)

    def key(profile: str | None, **environment: str) -> tuple[str, str | None]:
        found = chosen(profile, environment)
        return found.api_key, found.base_url

    assert key("b", AJOXI_API_KEY="AJX_TEST_x", AJOXI_PROFILE="a") == ("AJX_TEST_b", "http://b")
    assert key(None, AJOXI_API_KEY="AJX_TEST_x", AJOXI_PROFILE="a") == ("AJX_TEST_x", None)
    assert key(None, AJOXI_PROFILE="a", AJOXI_API_KEY=" ") == ("AJX_TEST_a", "http://a")
    assert key(None) == ("AJX_TEST_default", "http://default")
    with pytest.raises(ConfigurationError, match=r"there is no 'c'; there is default, a, b"):
        key("c")
    with pytest.raises(ConfigurationError, match=r"--profile: expected a name"):
        key("\x1b[2J")
    profiles.clear()
    with pytest.raises(ConfigurationError, match=r"run `ajoxi login`, or set AJOXI_API_KEY"):
        key(None)


def test_keys_are_not_shown() -> None:
    """The reprs of what holds a key do not hold it."""
    assert "AJX" not in repr(Profile("AJX_TEST_secret"))
    assert "AJX" not in repr(chosen(None, {"AJOXI_API_KEY": "AJX_TEST_secret"}))


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, ".config/ajoxi"),
        ("linux", {"XDG_CONFIG_HOME": "/x"}, "/x/ajoxi"),
        ("linux", {"XDG_CONFIG_HOME": "relative"}, ".config/ajoxi"),
        ("darwin", {}, "Library/Application Support/ajoxi"),
        ("win32", {"APPDATA": "/roaming"}, "/roaming/ajoxi"),
        ("win32", {}, "AppData/Roaming/ajoxi"),
        ("linux", {"AJOXI_CONFIG_DIR": "/y", "XDG_CONFIG_HOME": "/x"}, "/y"),
    ],
)
def test_the_folder(platform: str, environment: dict[str, str], expected: str) -> None:
    """It is where the platform keeps settings."""
    assert folder(environment, platform) == Path.home() / PurePosixPath(expected)


@posix
@pytest.mark.parametrize("written", ["", "[]", '{"profiles": []}', '{"profiles": {"a": 1}}', '{"profiles": {"default": {"api_key": 1}}}', "\udcff", "[" * 3000])  # fmt: skip
def test_a_file_of_another_kind(ajoxi: Run, tmp_path: Path, written: str) -> None:
    """It is a message that names it, and is not replaced."""
    file = tmp_path / "settings" / "profiles.json"
    file.parent.mkdir()
    file.write_text(written, "utf-8", "surrogateescape")
    status, _, said = ajoxi("calls", "list")
    assert status == 3
    assert said == f"ajoxi: {file}: not a file of profiles; move it away and run `ajoxi login` again\n"


@posix
def test_a_file_that_others_can_read(no_key: Server, ajoxi: Run, typed: Callable[[str], None], tmp_path: Path) -> None:
    """It is used, with a warning."""
    typed(no_key.sandbox.api_key)
    ajoxi("login", "--base-url", no_key.sandbox.base_url)
    (tmp_path / "settings" / "profiles.json").chmod(0o644)
    status, _, said = ajoxi("calls", "list")
    assert status == 0
    assert "can be read by others" in said


@posix
def test_a_folder_that_cannot_be_written(
    no_key: Server, ajoxi: Run, typed: Callable[[str], None], tmp_path: Path
) -> None:
    """It is a message, not a traceback."""
    (tmp_path / "settings").write_text("a file")
    typed(no_key.sandbox.api_key)
    status, _, said = ajoxi("login", "--base-url", no_key.sandbox.base_url)
    assert status == 3
    assert "settings" in said


def test_logins_at_the_same_time(
    no_key: Server, ajoxi: Run, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that another one overtakes, while it asks the API, keeps the other's key."""

    async def overtaken(*_: object) -> None:
        change_profiles(lambda kept: kept | {"other": Profile("AJX_TEST_other")})

    monkeypatch.setattr("ajoxi_async.cli.keys.login._check", overtaken)
    typed(no_key.sandbox.api_key)
    assert ajoxi("login", "--profile", "mine")[0] == 0
    assert set(read_profiles()) == {"mine", "other"}


def test_changing_profiles_takes_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes the file waits for the one who does, and says after a while that it cannot."""
    change_profiles(lambda _: {"a": Profile("AJX_TEST_a")})
    lock = FileLock(tmp_path / "settings" / "profiles.json")
    lock.take()
    monkeypatch.setattr("ajoxi_async.cli.keys.profiles._LONGEST_WAIT", 0.0)
    with pytest.raises(ConfigurationError, match=rf"profiles.json: process {os.getpid()} is changing it; try again"):
        change_profiles(lambda _: {})
    monkeypatch.setattr("ajoxi_async.cli.keys.profiles._LONGEST_WAIT", 60.0)
    monkeypatch.setattr("ajoxi_async.cli.keys.profiles.time.sleep", lambda _: lock.give_back())
    change_profiles(lambda kept: kept | {"b": Profile("AJX_TEST_b")})
    assert set(read_profiles()) == {"a", "b"}


@posix
def test_a_linked_file_of_profiles(tmp_path: Path) -> None:
    """A link stays one, and the file that it points to is replaced."""
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "profiles.json").symlink_to(elsewhere / "keys.json")
    change_profiles(lambda kept: kept | {"a": Profile("AJX_TEST_a")})
    assert (tmp_path / "settings" / "profiles.json").is_symlink()
    assert "AJX_TEST_a" in (elsewhere / "keys.json").read_text()


def test_profiles_that_act_on_a_terminal(ajoxi: Run) -> None:
    """What a file of profiles says has no effect on the terminal."""
    change_profiles(lambda _: {"a\x1b[31m": Profile("AJX_TEST_a", "\x1b[2J")})
    assert ajoxi("profiles")[1] == "a\\x1b[31m  AJX_TEST_***  \\x1b[2J\n"


class Memory(KeyringBackend):
    """A keyring of the package keyring that keeps keys for one test."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def test_the_keyring(
    no_key: Server, ajoxi: Run, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With --keyring the key is in the keyring of the system and not in the file."""
    ring = Memory()
    kept = ring.kept
    monkeypatch.setattr("keyring.core._keyring_backend", ring)
    key = no_key.sandbox.api_key
    typed(key)
    assert ajoxi("login", "--keyring", "--base-url", no_key.sandbox.base_url)[0] == 0
    assert kept == {("ajoxi", "default"): key}
    assert key not in (tmp_path / "settings" / "profiles.json").read_text()
    assert ajoxi("profiles")[1].split()[1:4] == ["in", "the", "keyring"]
    assert ajoxi("calls", "list")[0] == 0
    kept.clear()
    status, _, said = ajoxi("calls", "list")
    assert (status, "the keyring has no key of 'default' any more" in said) == (3, True)
    typed(key)
    ajoxi("login", "--keyring", "--no-check")
    assert ajoxi("logout")[0] == 0
    assert not kept


def test_a_keyring_that_does_not_work(
    ajoxi: Run, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a message without the key, and nothing is kept."""

    class Broken(Memory):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise RuntimeError("AJX_TEST_secret")

    monkeypatch.setattr("keyring.core._keyring_backend", Broken())
    typed("AJX_TEST_secret")
    status, out, said = ajoxi("login", "--keyring", "--no-check")
    assert (status, out, said) == (3, "", "ajoxi: the keyring of the system does not work (RuntimeError)\n")
    monkeypatch.setitem(sys.modules, "keyring", None)
    typed("AJX_TEST_secret")
    assert ajoxi("login", "--keyring", "--no-check")[2].startswith("ajoxi: --keyring: install ajoxi-async[keyring]")
    assert ajoxi("profiles") == (0, "", "")
