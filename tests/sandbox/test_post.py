"""Where webhooks are posted to, and where never."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from ajoxi_async.sandbox.delivery.post import HttpPost, permitted

METADATA = [
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fe80::1",
    "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe", "fe80::a9fe:a9fe%eth0",
]  # fmt: skip


@pytest.mark.parametrize("address", [*METADATA, "0.0.0.0", "::", "224.0.0.1", "ff02::1", "", "example.com", "127.1"])
def test_never(address: str) -> None:
    """Metadata, link-local, unspecified and multicast addresses are not posted to, with or without the flag."""
    assert not permitted(address, remote=False)
    assert not permitted(address, remote=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine(address: str) -> None:
    """Loopback is permitted."""
    assert permitted(address, remote=False)


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_other_machines(address: str) -> None:
    """Another machine needs the flag."""
    assert not permitted(address, remote=False)
    assert permitted(address, remote=True)


class Listener:
    """A server that keeps what it was asked, and answers with a body or a redirect."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def __aenter__(self) -> Listener:
        self._runner = web.ServerRunner(web.Server(self._take))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.headers["Host"], request.path))
        if request.path == "/redirect":
            raise web.HTTPFound("/elsewhere")
        return web.Response(status=200, body=b"x" * 1_000_000, headers={"X-Seen": "yes"})


@pytest.mark.asyncio
async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """A name is resolved once: one that would resolve to something else a moment later (rebinding) gains nothing."""
    answers = [["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "169.254.169.254"]]

    async def resolve(host: str, port: int) -> list[str]:
        assert host == "rebind.example"
        return answers.pop(0)

    async with Listener() as listener:
        post = HttpPost(remote=True, resolve=resolve)
        url = f"http://rebind.example:{listener.port}/hook"
        assert (await post(url, {}, b"{}")).status == 200
        assert len(answers) == 2
        assert (await post(url, {}, b"{}")).error == "the address is not permitted"
        assert (await post(url, {}, b"{}")).status == 200
        await post.aclose()
    assert listener.asked == [(f"rebind.example:{listener.port}", "/hook")] * 2


@pytest.mark.asyncio
async def test_names_of_this_machine_need_no_resolver() -> None:
    """`localhost` and what is under it are loopback, whatever a resolver says; IPv6 first or last, it connects."""

    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    async with Listener() as listener:
        post = HttpPost(resolve=resolve)
        for host in ("localhost", "app.localhost", "127.0.0.1"):
            assert (await post(f"http://{host}:{listener.port}/", {}, b"{}")).status == 200
        for url in ("http://app.example/", "http://127.1/", "http://2130706433/", "http://[::ffff:a9fe:a9fe]/", "x"):
            assert (await post(url, {}, b"{}")).status is None
        await post.aclose()


@pytest.mark.asyncio
async def test_redirects_and_long_answers() -> None:
    """A redirect is an answer like any other, and only the beginning of a body is kept."""
    async with Listener() as listener:
        post = HttpPost()
        answer = await post(f"http://127.0.0.1:{listener.port}/redirect", {}, b"{}")
        assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
        answer = await post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
        assert (answer.status, len(answer.excerpt), answer.headers["x-seen"]) == (200, 1024, "yes")
        await post.aclose()
    assert [path for _, path in listener.asked] == ["/redirect", "/"]


@pytest.mark.asyncio
async def test_nobody_listens() -> None:
    """A refused connection is an answer that says so, and nothing is raised."""
    post = HttpPost()
    answer = await post("http://127.0.0.1:9/", {}, b"{}")
    assert answer.status is None
    assert "ConnectError" in str(answer.error)
    await post.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("cookie", ["session=1; Path=/", "\xff"])
async def test_cookies_of_an_endpoint_are_not_kept(cookie: str) -> None:
    """The endpoints of a host share a cookie jar, and one cookie that cannot be sent would fail every later delivery to it."""
    sent: list[str | None] = []

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        sent.append(request.headers.get("Cookie"))
        return web.Response(status=204, headers={"Set-Cookie": cookie})

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    post = HttpPost()
    for _ in range(2):
        assert (await post(f"http://127.0.0.1:{runner.addresses[0][1]}/", {}, b"{}")).status == 204
    await post.aclose()
    await runner.cleanup()
    assert sent == [None, None]
