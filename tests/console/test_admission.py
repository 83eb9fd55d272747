"""Who may use the console and the control surface, by which headers: what a browser says of a page that asks."""

from __future__ import annotations

from typing import Any

import pytest

from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox.console.console import Console
from ajoxi_async.sandbox.server.admission import DATA_HEADERS

from .page import OWN, Page, opened, signed_in

SAME = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


def own(page: Page) -> str:
    return page.sandbox.base_url


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Host": "evil.example"}, "Host"), ({"Host": "evil.example:8027"}, "Host"), ({"Host": "127.0.0.1.evil.example"}, "Host"),
        ({"Host": "localhost.evil.example"}, "Host"), ({"Host": "192.0.2.1"}, "Host"), ({"Host": "0.0.0.0"}, "Host"),
        ({"Host": "[::2]"}, "Host"), ({"Host": "[::1"}, "Host"), ({"Host": ""}, "Host"), ({"Host": "evil.example@localhost"}, ""),
        ({"Origin": "http://evil.example"}, "Origin"), ({"Origin": "null"}, "Origin"), ({"Origin": "http://localhost:1"}, "Origin"),
        ({"Origin": "http://127.0.0.1:1"}, "Origin"), ({"Origin": ""}, "Origin"), ({"Origin": "https://{host}"}, "Origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site"), ({"Sec-Fetch-Site": "same-site"}, "Sec-Fetch-Site"),
        ({"Sec-Fetch-Site": "none"}, "Sec-Fetch-Site"), ({"Sec-Fetch-Site": ""}, "Sec-Fetch-Site"),
        ({"X-Ajoxi-Console": ""}, "X-Ajoxi-Console"), ({"X-Ajoxi-Console": "0"}, "X-Ajoxi-Console"),
        ({"Content-Type": "text/plain"}, "Content-Type"), ({"Content-Type": "application/x-www-form-urlencoded"}, "Content-Type"),
        ({"Content-Type": "multipart/form-data"}, "Content-Type"), ({"Content-Type": "text/plain; application/json"}, "Content-Type"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_a_page_of_another_site_sends_is_refused(headers: dict[str, str], why: str) -> None:
    """With the cookie of a session, one header that only another site sends, or one that it cannot send, is enough for a 403."""
    async with signed_in() as page:
        sent = {**OWN, **{name: value.format(host=own(page)[7:]) for name, value in headers.items()}}
        if why == "":
            # The part before the @ is no host.
            assert (await page.raw("GET", "clock", None, sent))[0] == 200
            return
        body: dict[str, Any] = {"to": "+15005550100", "from": "+14155550100"}
        for path in ("clock/run", "console/feed/feed_0", "console/as/v1/calls", "console/session"):
            status, _, text = await page.raw("POST", path, body, sent)
            assert (status, why in text.decode()) == (403, True)
        assert await page.get("counts") == {**await page.get("counts"), "calls": 0}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "reset"), ("DELETE", "requests"), ("PUT", "settings"), ("POST", "console/as/v1/calls"),
     ("DELETE", "console/session"), ("POST", "console/session"), ("PATCH", "clock"), ("OPTIONS", "clock")],
)  # fmt: skip
async def test_what_changes_something_needs_both_headers(method: str, path: str) -> None:
    """A request by cookie that is not a GET lacks neither header; a preflight is answered by no permission."""
    async with signed_in() as page:
        for missing in OWN:
            sent = {one: value for one, value in OWN.items() if one != missing}
            status, headers, _ = await page.raw(method, path, None, sent)
            assert status == 403
            assert not [one for one in headers if one.lower().startswith("access-control-")]
        assert (await page.raw("GET", "clock", None, {}))[0] == 200


@pytest.mark.asyncio
async def test_the_own_page_is_answered() -> None:
    """What a browser sends for a page of the console itself is accepted, on loopback by any name and through a forwarded port."""
    async with signed_in() as page:
        (cookie,) = page.session.cookie_jar
        for host in (own(page)[7:], "localhost:9000", "127.0.0.1:1", "[::1]:80", "127.8.8.8"):
            sent = {**OWN, **SAME, "Host": host, "Origin": f"http://{host}", "Cookie": f"{cookie.key}={cookie.value}"}
            assert (await page.raw("GET", "clock", None, sent))[0] == 200
            assert (await page.raw("POST", "reset", {}, sent))[0] == 200


@pytest.mark.asyncio
async def test_a_script_with_the_token_needs_no_more() -> None:
    """The control token works as before, without the headers of a page; a wrong one is refused even beside a session."""
    async with signed_in() as page:
        right = {"Authorization": f"Bearer {page.sandbox.control_token}"}
        assert (await page.raw("POST", "reset", None, right))[0] == 200
        assert (await page.raw("POST", "console/as/v1/calls", {"to": "+15005550100", "from": "+14155550100"}, right))[
            0
        ] == 201
        for wrong in (f"Bearer {page.sandbox.api_key}", "Bearer ", "Basic eDp5", ""):
            assert (await page.raw("GET", "clock", None, {**OWN, "Authorization": wrong}))[0] == 401


@pytest.mark.asyncio
@pytest.mark.parametrize("peer", [None, "192.0.2.7", "::ffff:192.0.2.7", "not an address"])
async def test_other_machines_are_refused(peer: str | None) -> None:
    """Neither the shell nor a file, the session or data is given to a peer that is not this machine."""
    async with opened() as page:
        console = page.sandbox._console
        assert isinstance(console, Console)
        for method, path in (
            ("GET", ""),
            ("GET", "static/index.html"),
            ("POST", "session"),
            ("GET", "feed"),
            ("GET", "as/v1/calls"),
        ):
            request = Request(method, f"/_ajoxi/console/{path}", {"Host": "localhost", **OWN})
            answer = await console.handle(request, peer)
            assert answer.status == 403
            shell = await console.handle(Request("GET", "/_ajoxi/console/", {"Host": "localhost"}), "127.0.0.1")
            assert shell.status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("console/", {}, 200), ("console/main/calls?status=ringing", {}, 200),
        ("console/main/calls", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ("console/", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ("console/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ("console/", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "frame"}, 403),
        ("console/", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ("console/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        ("console/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ("console/", {"Host": "evil.example"}, 403), ("console/", {"Origin": "http://evil.example"}, 403),
        ("console/static/index.html", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "script"}, 200),
        ("console/static/index.html", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}, 403),
        ("console/static/index.html", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "script"}, 403),
        ("console/static/index.html", {"Host": "evil.example"}, 403),
    ],
    ids=str,
)  # fmt: skip
async def test_the_shell_is_a_document_of_its_own(path: str, headers: dict[str, str], status: int) -> None:
    """A link from anywhere opens the shell, which holds no data; a frame or a script of another site does not, nor does another name."""
    async with opened() as page:
        assert (await page.raw("GET", path, None, headers))[0] == status


@pytest.mark.asyncio
async def test_answers_stay_where_they_belong() -> None:
    """Every answer under /_ajoxi/ has the headers that keep it out of other pages and caches; those of the API cannot be sniffed."""
    async with signed_in() as page:
        call = await page.act("POST", "calls", {"to": "+15005550100", "from": "+14155550100"})
        for method, path, body in (
            ("GET", "clock", None), ("GET", "nothing", None), ("POST", "console/session", {"code": "x"}), ("GET", "console/feed?x=1", None),
            ("GET", "console/as/v1/calls", None), ("GET", f"console/as/v1/calls/{call['id']}x", None), ("GET", "console/nothing", None),
            ("POST", "console/as/v1/calls", {}), ("POST", "receivers/recv_1/in", {}),
        ):  # fmt: skip
            _, headers, _ = await page.raw(method, path, body, OWN)
            assert {name: headers[name] for name in DATA_HEADERS} == DATA_HEADERS
        async with page.session.get(f"{page.sandbox.base_url}/_ajoxi/console/feed") as response:
            assert {name: response.headers[name] for name in DATA_HEADERS} == DATA_HEADERS
        for path in ("/v1/calls", "/openapi.json", "/media/rec_1.wav", "/nothing"):
            _, headers, _ = await page.raw("GET", path)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cross-Origin-Resource-Policy"] == "same-site"
            assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.asyncio
async def test_the_shell_lets_nothing_else_in() -> None:
    """The shell and every file have a policy that loads nothing from elsewhere, runs no inline script, and is in no frame."""
    async with opened() as page:
        for path in ("console/", "console/main/calls", "console/static/index.html"):
            status, headers, _ = await page.raw("GET", path)
            policy = dict(rule.partition(" ")[::2] for rule in headers["Content-Security-Policy"].split("; "))
            assert status == 200
            assert policy["default-src"] == "'none'"
            assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'",) * 3
            assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == ("'none'",) * 3
            assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "lit-html ajoxi")
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.asyncio
async def test_a_get_changes_nothing() -> None:
    """No route of the console acts by GET, and looking at a key that nobody used makes no world."""
    async with signed_in() as page:
        key = page.sandbox.mint_key()
        minted = page.sandbox.keys()[-1]
        for path in ("clock", "counts", "calls", "overview", "console/as/v1/calls"):
            assert (await page.ask("GET", path, X_Ajoxi_Key=minted.id))[0] == 404
        assert (await page.ask("GET", f"console/feed?world={minted.id}"))[0] == 404
        assert len(page.sandbox.worlds()) == 1
        for path in (
            "console/session",
            "console/feed/feed_0",
            "reset",
            "clock/run",
            "clock/pause",
            "dead-letters/replay",
        ):
            assert (await page.ask("GET", path))[0] in {404, 405}
        status, _ = await page.ask(
            "POST", "console/as/v1/calls", {"to": "+15005550100", "from": "+14155550100"}, X_Ajoxi_Key=minted.id
        )
        assert (status, len(page.sandbox.world(key).account.calls)) == (201, 1)
