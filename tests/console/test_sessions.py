"""Signing in to the console: codes that work once, and sessions."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ajoxi_async import ConfigurationError, InvalidParameterError, Sandbox
from ajoxi_async.sandbox import Refusal
from ajoxi_async.sandbox.console.sessions import CODE_LIFE, IDLE, Sessions

from .page import OWN, opened, signed_in


class Hand:
    """A clock that is moved by hand."""

    moment = 1_000.0

    def __call__(self) -> float:
        return self.moment


def made() -> tuple[Sessions, Hand]:
    hand = Hand()
    sessions = Sessions(hand)
    sessions.use_port(8027)
    return sessions, hand


def cookie(secret: str) -> dict[str, str]:
    return {"cookie": f"other=1; ajoxi_console_8027={secret}"}


def code_of(error: pytest.ExceptionInfo[Refusal]) -> str:
    assert error.value.status == 401
    return error.value.code


def test_a_code_works_once_and_for_five_minutes() -> None:
    """A code starts one session; a used, old or invented one starts none, and the error says which it is."""
    sessions, hand = made()
    code = sessions.new_code()
    assert sessions.signed_in(cookie(sessions.exchange(code)))
    with pytest.raises(Refusal) as error:
        sessions.exchange(code)
    assert code_of(error) == "code_used"
    late = sessions.new_code()
    hand.moment += CODE_LIFE
    with pytest.raises(Refusal) as error:
        sessions.exchange(late)
    assert code_of(error) == "code_expired"
    with pytest.raises(Refusal) as error:
        sessions.exchange("invented")
    assert code_of(error) == "code_unknown"


def test_codes_and_sessions_cannot_be_guessed() -> None:
    """A code is 128 bits and a session 256, and no two are the same."""
    sessions, _ = made()
    codes, secrets = {sessions.new_code() for _ in range(50)}, {sessions.start() for _ in range(50)}
    assert (len(codes), len(secrets)) == (50, 50)
    assert {len(code) for code in codes} == {22}
    assert {len(secret) for secret in secrets} == {43}


def test_a_session_ends_when_it_is_idle_for_twelve_hours() -> None:
    """Each request extends a session; twelve hours without one end it, and so does its user."""
    sessions, hand = made()
    ended: list[bytes] = []
    sessions.on_end = ended.append
    sent = cookie(sessions.start())
    for _ in range(3):
        hand.moment += IDLE - 1
        assert sessions.signed_in(sent)
    hand.moment += IDLE
    assert not sessions.signed_in(sent)
    sent = cookie(sessions.start())
    sessions.sign_out(sent)
    assert not sessions.signed_in(sent)
    assert len(ended) == 2


@pytest.mark.parametrize(
    "sent",
    [{}, {"cookie": ""}, {"cookie": "ajoxi_console_8027="}, {"cookie": "ajoxi_console_8027=invented"},
     {"cookie": "ajoxi_console_8028={}"}, {"cookie": "xajoxi_console_8027={}"}, {"cookie": "{}"},
     {"cookie": "ajoxi_console_8027=\udce9"}],
    ids=str,
)  # fmt: skip
def test_no_other_cookie_signs_in(sent: dict[str, str]) -> None:
    """A session counts in the cookie of its own port alone."""
    sessions, _ = made()
    secret = sessions.start()
    assert not sessions.signed_in({name: value.format(secret) for name, value in sent.items()})


def test_codes_and_sessions_are_bounded() -> None:
    """However many links are asked for, the newest work and memory is bounded; the session that was used longest ago goes."""
    sessions, hand = made()
    first, codes = sessions.new_code(), [sessions.new_code() for _ in range(100)]
    with pytest.raises(Refusal) as error:
        sessions.exchange(first)
    assert code_of(error) == "code_unknown"
    kept = cookie(sessions.exchange(codes[0]))
    oldest = cookie(sessions.start())
    for _ in range(99):
        hand.moment += 1
        assert sessions.signed_in(kept)
        sessions.start()
    assert sessions.signed_in(kept)
    assert not sessions.signed_in(oldest)


@pytest.mark.asyncio
async def test_signing_in_and_out() -> None:
    """A code or the control token is exchanged for a cookie that scripts cannot read and other sites do not send; signing out ends it."""
    async with opened() as page:
        assert (await page.ask("GET", "clock"))[0] == 401
        status, headers, _ = await page.raw("POST", "console/session", {"code": page.code()}, OWN)
        port = page.sandbox.base_url.rpartition(":")[2]
        name, _, attributes = headers["Set-Cookie"].partition("=")
        assert (status, name) == (201, f"ajoxi_console_{port}")
        assert attributes.partition("; ")[2] == "HttpOnly; SameSite=Strict; Path=/_ajoxi/"
        assert (await page.ask("GET", "clock"))[0] == 200
        assert await page.ask("DELETE", "console/session") == (200, {})
        assert (await page.ask("GET", "clock"))[0] == 401
        assert (await page.ask("POST", "console/session", {"token": page.sandbox.control_token}))[0] == 201
        assert (await page.ask("GET", "clock"))[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_parameter"), ({"code": 7}, 400, "invalid_parameter"), ({"code": None}, 400, "invalid_parameter"),
        ([], 400, "invalid_parameter"), ({"code": "invented"}, 401, "code_unknown"), ({"code": ""}, 401, "code_unknown"),
        ({"code": "\ud800"}, 400, "invalid_json"), ({"token": "invented"}, 401, "authentication_required"),
        ({"token": ""}, 401, "authentication_required"), ({"code": "x", "token": "y"}, 400, "invalid_parameter"),
    ],
    ids=str,
)  # fmt: skip
async def test_nothing_else_signs_in(body: object, status: int, code: str) -> None:
    """What is neither a code nor the control token starts no session."""
    async with opened() as page:
        answered, shown = await page.ask("POST", "console/session", body)
        assert (answered, shown["error"]["code"]) == (status, code)
        assert (await page.ask("GET", "clock"))[0] == 401


@pytest.mark.asyncio
async def test_each_link_is_new() -> None:
    """Each reading of `console_url` is a link of its own; it is used up by its first use, and only then."""
    async with opened() as page:
        first, second = page.code(), page.code()
        assert first != second
        assert (await page.ask("POST", "console/session", {"code": first}))[0] == 201
        status, shown = await page.ask("POST", "console/session", {"code": first})
        assert (status, shown["error"]["code"]) == (401, "code_used")
        assert (await page.ask("POST", "console/session", {"code": second}))[0] == 201


@pytest.mark.asyncio
async def test_a_session_is_of_one_sandbox() -> None:
    """The session of one sandbox opens no other one, whatever the name of the cookie."""
    async with signed_in() as page, opened() as other:
        (cookie,) = page.session.cookie_jar
        port = other.sandbox.base_url.rpartition(":")[2]
        for name in (cookie.key, f"ajoxi_console_{port}"):
            status, *_ = await other.raw("GET", "clock", None, {"Cookie": f"{name}={cookie.value}"})
            assert status == 401


def test_a_sandbox_without_a_console_does_not_import_it() -> None:
    """Only `console=True` loads the modules of the console."""
    code = """
import asyncio, sys
from ajoxi_async import Sandbox
async def main():
    for console in (False, True):
        async with Sandbox(console=console):
            print(any(name.startswith("ajoxi_async.sandbox.console") for name in sys.modules))
asyncio.run(main())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


@pytest.mark.asyncio
async def test_where_there_is_no_console() -> None:
    """Without console=True there is no link, no page and no session, and a cookie opens nothing; without loopback there is none either."""
    async with opened(console=False) as page:
        with pytest.raises(ConfigurationError):
            _ = page.sandbox.console_url
        for method, path in (("GET", "console/"), ("GET", "console/static/index.html"), ("POST", "console/session")):
            assert (await page.ask(method, path, {"code": "x"} if method == "POST" else None))[0] == 401
    with pytest.raises(ConfigurationError):
        _ = Sandbox(console=True).console_url
    for options in ({"port": None}, {"host": "192.0.2.1"}):
        with pytest.raises(InvalidParameterError, match="console"):
            Sandbox(console=True, **options)  # type: ignore[arg-type]
