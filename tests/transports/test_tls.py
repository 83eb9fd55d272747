"""TLS on both engines: why it failed, and whom they trust."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from ajoxi_async import APIConnectionError, AsyncAjoxi, RetryPolicy

from .sockets import read_request, server

pytestmark = pytest.mark.anyio

BODY = b'{"id":"call_1","status":"ringing"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that is not trusted by default."""
    return trustme.CA()


def over_tls(authority: trustme.CA, name: str) -> Callable[[socket.socket, int], None]:
    """A server whose certificate is for a name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)

    def serve(connection: socket.socket, number: int) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            read_request(tls)
            tls.sendall(ANSWER)

    return serve


def client_of(url: str, **settings: Any) -> AsyncAjoxi:
    """A client over https that does not try again."""
    return AsyncAjoxi(
        "AJX_TEST_x", base_url=url.replace("http:", "https:"), retry=RetryPolicy(max_retries=0), timeout=5, **settings
    )


async def test_a_certificate_of_an_unknown_authority_is_told(authority: trustme.CA) -> None:
    """A certificate that cannot be verified is named as the reason, and nothing was sent."""
    async with server(over_tls(authority, "127.0.0.1")) as (url, got), client_of(url) as client:
        with pytest.raises(APIConnectionError, match=r"(?i)certificate.verify.failed.*unable to get local issuer"):
            await client.calls.create(to="+14155551234", from_="+14155550100")
    assert got == []


async def test_a_certificate_of_another_host_is_told(authority: trustme.CA) -> None:
    """A certificate for another name says which name did not match."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with server(over_tls(authority, "elsewhere.example")) as (url, _), client_of(url, tls=trusting) as client:
        with pytest.raises(APIConnectionError, match=r"(?i)certificate is not valid for '127\.0\.0\.1'"):
            await client.calls.retrieve("call_1")


async def test_a_server_without_tls_is_told() -> None:
    """A server that speaks plain http on the port says so."""

    def serve(connection: socket.socket, number: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    async with server(serve) as (url, _), client_of(url) as client:
        with pytest.raises(APIConnectionError, match=r"(?i)wrong.version.number|record layer failure"):
            await client.calls.retrieve("call_1")


async def test_both_engines_trust_what_ssl_cert_file_names(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE counts on both engines, set before or after they were imported."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with server(over_tls(authority, "127.0.0.1")) as (url, _), client_of(url) as client:
        assert (await client.calls.retrieve("call_1")).id == "call_1"


@pytest.mark.skipif(
    sys.platform == "win32", reason="truststore asks the operating system, which knows no SSL_CERT_FILE there"
)
async def test_truststore_is_taken(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tls=truststore.SSLContext(...)` verifies with the operating system's trust store on both engines."""
    import truststore

    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    trusting = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with server(over_tls(authority, "127.0.0.1")) as (url, _), client_of(url, tls=trusting) as client:
        assert (await client.calls.retrieve("call_1")).id == "call_1"
