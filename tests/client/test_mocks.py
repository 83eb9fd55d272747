"""What tests of other projects do with the client: mocks made by its spec, subclasses."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest

from ajoxi_async import AsyncAjoxi, Call, RetryPolicy
from ajoxi_async.resources.calls import Calls

RESOURCES = ("calls", "messages", "numbers", "recordings", "transcripts", "webhooks")


@pytest.mark.parametrize("kind", [Mock, MagicMock, AsyncMock])
@pytest.mark.parametrize("name", [*RESOURCES, "mode", "base_url", "limiter", "webhook_secret", "with_options"])
def test_a_mock_by_spec_has_what_the_client_has(kind: Any, name: str) -> None:
    """`Mock(spec=AsyncAjoxi)` knows the resources and settings of a client, and nothing else."""
    client = kind(spec=AsyncAjoxi)
    assert getattr(client, name)
    with pytest.raises(AttributeError):
        client.cals  # noqa: B018


@pytest.mark.asyncio
@pytest.mark.parametrize("instance", [True, False])
async def test_autospec(instance: bool) -> None:
    """Methods of an autospec are async where the client's are, and refuse arguments that the client's refuse."""
    client = create_autospec(AsyncAjoxi, instance=True) if instance else create_autospec(AsyncAjoxi)("AJX_TEST_x")
    client.calls.create.return_value = Call(id="call_1")
    assert await client.calls.create(to="+14155551234", from_="+14155550100") == Call(id="call_1")
    client.calls.create.assert_awaited_once()
    with pytest.raises(TypeError):
        await client.calls.create(to="+14155551234")
    with pytest.raises(TypeError):
        await client.calls.create("+14155551234", "+14155550100")
    with pytest.raises(TypeError):
        await client.calls.retrieve()
    with pytest.raises(AttributeError):
        client.calls.craete  # noqa: B018
    with pytest.raises(AttributeError):
        client.cals  # noqa: B018


@pytest.mark.parametrize("name", RESOURCES)
def test_autospec_knows_which_methods_are_async(name: str) -> None:
    """For every resource: a coroutine function in the client is one in the mock, and the others are not."""
    client, real = create_autospec(AsyncAjoxi, instance=True), getattr(AsyncAjoxi, name)
    for method, function in inspect.getmembers(real, inspect.isfunction):
        if not method.startswith("_"):
            mocked = getattr(getattr(client, name), method)
            assert isinstance(mocked, AsyncMock) == inspect.iscoroutinefunction(function), method


def test_resources_in_the_class_and_in_a_client() -> None:
    """The class has the resource's class, each client a resource of its own, the same one each time."""
    one, two = AsyncAjoxi("AJX_TEST_x"), AsyncAjoxi("AJX_TEST_x")
    assert AsyncAjoxi.calls is Calls
    assert one.calls is one.calls is not two.calls


class Ours(AsyncAjoxi):
    """A subclass with an `__init__` and attributes of its own."""

    tenant: str

    def __init__(self, tenant: str, *, key: str) -> None:
        super().__init__(key, webhook_secret="whsec_x")
        self.tenant = tenant
        self.seen: list[str] = []

    async def greet(self) -> str:
        return f"hello {self.tenant}"


@pytest.mark.asyncio
async def test_a_variant_of_a_subclass() -> None:
    """`with_options` keeps class, attributes and settings of a subclass; its resources have the new options."""
    client = Ours("acme", key="AJX_TEST_x")
    variant = client.with_options(timeout=1).with_options(retry=RetryPolicy(max_retries=0))
    assert type(variant) is Ours
    assert await variant.greet() == "hello acme"
    assert variant.seen is client.seen
    assert (variant.mode, variant.webhook_secret) == ("test", "whsec_x")
    assert variant.calls is not client.calls
    assert variant.calls._pipeline is variant._pipeline is not client._pipeline
    variant.tenant = "other"
    assert client.tenant == "acme"
