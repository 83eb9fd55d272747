"""Many accounts on one pool: `with_options(api_key=...)`."""

from __future__ import annotations

import anyio
import pytest

from ajoxi_async import (
    AsyncAjoxi,
    AuthenticationError,
    ClientClosedError,
    ClientCredentials,
    ConfigurationError,
    LocalLimiter,
    OutcomeUnknownError,
    Sandbox,
)
from tests.client.fakes import KEY, ScriptedTransport, answer

OTHER = "AJX_TEST_9876543210"


def test_each_key_has_its_own_budget() -> None:
    """A variant for another key has the limiter of that key, which all clients of the key share; its own key changes nothing."""
    client, second = AsyncAjoxi(KEY), AsyncAjoxi(OTHER)
    other = client.with_options(api_key=OTHER)
    assert other.limiter is second.limiter is not client.limiter
    assert other.with_options(api_key=KEY).limiter is client.limiter
    assert client.with_options(api_key=KEY)._pipeline.credentials is client._pipeline.credentials
    assert other._pipeline.transport is client._pipeline.transport
    assert OTHER not in repr(other._pipeline)


def test_a_transport_of_ones_own_keeps_budgets_apart() -> None:
    """The budget of a key on a caller's transport is that transport's, for variants as for clients."""
    one, two = ScriptedTransport(answer()), ScriptedTransport(answer())
    variant = AsyncAjoxi(KEY, transport=one).with_options(api_key=OTHER)
    assert variant.limiter is AsyncAjoxi(OTHER, transport=one).limiter
    assert variant.limiter is not AsyncAjoxi(OTHER, transport=two).limiter


def test_mode_and_safety() -> None:
    """The mode is the new key's, and a live key is refused where a client's would be."""
    client = AsyncAjoxi(KEY)
    with pytest.raises(ConfigurationError, match="allow_live"):
        client.with_options(api_key="AJX_LIVE_x")
    assert AsyncAjoxi(KEY, allow_live=True).with_options(api_key="AJX_LIVE_x").mode == "live"
    plain = AsyncAjoxi(KEY, base_url="http://192.0.2.1", allow_live=True)
    with pytest.raises(ConfigurationError, match="plain http"):
        plain.with_options(api_key="AJX_LIVE_x")
    for wrong in ("", "nonsense", "AJX_TEST_", "AJX_TEST_a b", 7):
        with pytest.raises(ConfigurationError, match="api_key"):
            client.with_options(api_key=wrong)  # type: ignore[arg-type]


def test_a_limiter_of_ones_own_counts_one_key() -> None:
    """Another key needs a limiter of its own then, since a local one would forget what other processes send."""
    client = AsyncAjoxi(KEY, limiter=LocalLimiter(7))
    with pytest.raises(ConfigurationError, match="limiter"):
        client.with_options(api_key=OTHER)
    assert client.with_options(api_key=KEY).limiter is client.limiter
    own = LocalLimiter(9)
    variant = client.with_options(api_key=OTHER, limiter=own)
    assert variant.limiter is own
    with pytest.raises(ConfigurationError, match="limiter"):
        variant.with_options(api_key=KEY)
    with pytest.raises(ConfigurationError, match="limiter"):
        client.with_options(limiter="fast")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_a_key_in_place_of_tokens() -> None:
    """A client with a token provider has variants with keys; what each sends is its own."""
    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    tokens = ClientCredentials("https://id.example/token", "me", "hunter2")
    client = AsyncAjoxi(token_provider=tokens, mode="test", transport=transport)
    await client.with_options(api_key=KEY).calls.retrieve("call_1")
    assert transport.requests[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.anyio
async def test_closing_one_closes_all() -> None:
    """The pool is one: after `aclose` of any variant no account sends."""
    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    client = AsyncAjoxi(KEY, transport=transport)
    other = client.with_options(api_key=OTHER)
    await other.aclose()
    with pytest.raises(ClientClosedError):
        await client.calls.retrieve("call_1")


@pytest.mark.asyncio
async def test_fifty_keys_on_one_pool() -> None:
    """Each key stays within its own limit in any second, though all send at once: the server, which counts by itself,
    refuses none. What was sent is known by key: a connection that is cut is one account's unknown outcome and no other's."""
    async with Sandbox(rate_limit=5, strict_keys=True) as sandbox:
        keys = [sandbox.mint_key() for _ in range(50)]
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, max_connections=20) as client:
            accounts = [client.with_options(api_key=key) for key in keys]
            unknown: list[str] = []

            async def use(key: str, account: AsyncAjoxi) -> None:
                await account.calls.list(limit=1)  # learns the limit
                for number in range(8):
                    try:
                        await account.calls.create(to="+14155551234", from_="+14155550100", metadata={"n": str(number)})
                    except OutcomeUnknownError:
                        unknown.append(key)

            for key in keys[::5]:
                sandbox.world(key).faults.add(action="drop_after_commit", match="calls.create", when="nth", n=3)
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                for key, account in zip(keys, accounts, strict=True):
                    group.start_soon(use, key, account)
            # Nine requests at five a second take one second at least.
            assert anyio.current_time() - began > 0.9
            assert sorted(unknown) == sorted(keys[::5])
            assert sandbox.requests.find(status=429) == ()
            for key, account in zip(keys, accounts, strict=True):
                placed = await account.calls.list().to_list()
                assert sorted(call.metadata["n"] for call in placed) == list("01234567")
                assert account.limiter.snapshot().granted == 10
                assert len(sandbox.world(key).rings()) == 8
            with pytest.raises(AuthenticationError):
                await client.with_options(api_key=KEY).calls.list()
