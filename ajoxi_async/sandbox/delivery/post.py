"""Posting webhook deliveries over HTTP. Any user with a key chooses the endpoint, so its address is checked first.

Rules:
1. Deliveries are posted to this machine only, unless remote endpoints were allowed. They are never posted to link-local
   addresses and the other addresses at which clouds give out credentials.
2. A host name is resolved once, and the URL of the request contains the address that was checked. ``localhost`` and names
   under it are this machine, whatever a resolver says.
3. Redirects are not followed, no proxy is used, and cookies are not kept: the ports of a host share them. An endpoint has 15 s to answer, and only the beginning of the answer is
   read.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import anyio
from attrs import field, frozen

# httpx is imported, and its client made, with the first post: that takes a third of the start of a sandbox, and most post nothing.
if TYPE_CHECKING:
    import httpx

__all__ = ["ANSWER_SECONDS", "NOT_PERMITTED", "Answer", "HttpPost", "Post", "permitted"]

ANSWER_SECONDS = 15.0
NOT_PERMITTED = "the address is not permitted"
#: Bytes of an answer's body that are kept.
EXCERPT = 1_024
#: Most bytes that are read, so that the connection can be used again.
_DRAINED = 65_536

_LOOPBACK = ("127.0.0.1", "::1")
#: Addresses at which clouds give out credentials, besides the link-local ones.
_METADATA = frozenset(
    ipaddress.ip_address(address) for address in ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")
)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@frozen
class Answer:
    """The result of a post: a status, or the error if there was no answer."""

    status: int | None
    headers: Mapping[str, str] = field(factory=dict)
    excerpt: bytes = b""
    error: str | None = None


#: Posts a body to a URL with headers. It may return just a status, or None if there was no answer.
Post = Callable[[str, dict[str, str], bytes], Awaitable[Answer | int | None]]


def permitted(address: str, *, remote: bool) -> bool:
    """Whether an address may be posted to."""
    ip = _address(address)
    if ip is None or ip.is_link_local or ip in _METADATA or ip.is_unspecified or ip.is_multicast:
        return False
    return remote or ip.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that is really reached: the IPv4 address inside of an IPv6 one, if there is one."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    inside = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
    return inside or ip


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


async def _resolve(host: str, port: int) -> list[str]:
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HttpPost:
    """Posts over HTTP, on asyncio and trio.

    Args:
        remote: whether endpoints on other machines are allowed.
        resolve: resolves a host and a port to addresses.
    """

    def __init__(self, *, remote: bool = False, resolve: Callable[[str, int], Awaitable[list[str]]] = _resolve) -> None:
        self._remote = remote
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Post a body and return the result. It raises nothing."""
        import httpx

        try:
            with anyio.fail_after(ANSWER_SECONDS):
                target = httpx.URL(url)
                addresses = await self._addresses(target)
                if not addresses:
                    return Answer(None, error=NOT_PERMITTED)
                return await self._first_answer(target, addresses, headers, body)
        except TimeoutError:
            return Answer(None, error=f"no answer within {ANSWER_SECONDS:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Answer(None, error=f"{type(error).__name__}: {error}"[:200])

    async def aclose(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def forget(self) -> None:
        """Drop the connections of an event loop that has ended, without closing them."""
        self._client = None

    async def _addresses(self, url: httpx.URL) -> list[str]:
        host = url.host
        if _address(host) is not None:
            found = [host]
        elif _is_local(host):
            found = list(_LOOPBACK)
        elif self._remote:
            found = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
        else:
            # Other names are not resolved, since only `remote` allows other machines.
            found = []
        return [address for address in found if permitted(address, remote=self._remote)]

    async def _first_answer(self, url: httpx.URL, addresses: list[str], headers: dict[str, str], body: bytes) -> Answer:
        import httpx

        for address in addresses[:-1]:
            try:
                return await self._exchange(url, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._exchange(url, addresses[-1], headers, body)

    async def _exchange(self, url: httpx.URL, address: str, headers: dict[str, str], body: bytes) -> Answer:
        sent = {"Host": url.netloc.decode("ascii"), "User-Agent": "ajoxi-sandbox", **headers}
        extensions = {"sni_hostname": url.host} if url.scheme == "https" else {}
        if self._client is None:
            self._client = _open()
        async with self._client.stream(
            "POST", url.copy_with(host=address), content=body, headers=sent, extensions=extensions
        ) as response:
            read = bytearray()
            async for piece in response.aiter_raw():
                read += piece
                if len(read) > _DRAINED:
                    break
            return Answer(response.status_code, dict(response.headers), bytes(read[:EXCERPT]))


def _open() -> httpx.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    return httpx.AsyncClient(
        timeout=None,  # noqa: S113 - the whole exchange has its time
        trust_env=False,
        verify=False,  # noqa: S501 - test endpoints sign their own certificates
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=5.0),
    )
