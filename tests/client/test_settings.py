"""Settings of a client: where they come from, and which are refused."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from ajoxi_async import (
    AsyncAjoxi,
    ClientCredentials,
    ConfigurationError,
    InvalidParameterError,
    OutcomeUnknownError,
)
from ajoxi_async.contract.wire import ExchangeError

from .fakes import KEY, ScriptedTransport, answer, client_on


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove AJOXI_ variables of the environment, and restore the logger."""
    for name in ("AJOXI_API_KEY", "AJOXI_BASE_URL", "AJOXI_WEBHOOK_SECRET", "AJOXI_LOG"):
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("ajoxi_async")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, base URL, webhook secret and log level come from the environment."""
    monkeypatch.setenv("AJOXI_API_KEY", KEY)
    monkeypatch.setenv("AJOXI_BASE_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("AJOXI_WEBHOOK_SECRET", "whsec_x")
    monkeypatch.setenv("AJOXI_LOG", "debug")
    client = AsyncAjoxi()
    assert (client.mode, client.base_url, client.webhook_secret) == ("test", "http://127.0.0.1:9", "whsec_x")
    assert logging.getLogger("ajoxi_async").level == logging.DEBUG


def test_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed wins over the environment."""
    monkeypatch.setenv("AJOXI_API_KEY", "nonsense")
    monkeypatch.setenv("AJOXI_BASE_URL", "nonsense")
    assert AsyncAjoxi(KEY, base_url="https://a.example").base_url == "https://a.example"


def test_no_key() -> None:
    """Without a key the error says where to put one."""
    with pytest.raises(ConfigurationError, match="AJOXI_API_KEY"):
        AsyncAjoxi()


def test_live_key_in_pytest() -> None:
    """A live key does not work in a test run unless allowed."""
    with pytest.raises(ConfigurationError, match="allow_live"):
        AsyncAjoxi("AJX_LIVE_x")
    assert AsyncAjoxi("AJX_LIVE_x", allow_live=True).mode == "live"


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": "5"},
        {"timeout": True},
        {"max_connections": 0},
        {"transport": ScriptedTransport(answer()), "proxy": "http://127.0.0.1:1"},
        {"session": object(), "tls": ssl.create_default_context()},
        {"api_key": KEY, "token_provider": lambda: None},
        {"api_key": None, "token_provider": "token"},
        {"api_key": None, "token_provider": lambda: None, "mode": "prod"},
        {"default_headers": {"Authorization": "x"}},
        {"base_url": "api.ajoxi.com"},
    ],
    ids=" ".join,
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    """Settings that contradict each other, or cannot be right, are refused when the client is made."""
    with pytest.raises((ConfigurationError, InvalidParameterError)):
        AsyncAjoxi(**{"api_key": KEY, **wrong})


def test_unknown_log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """AJOXI_LOG takes the names of `logging`."""
    monkeypatch.setenv("AJOXI_LOG", "loud")
    with pytest.raises(ConfigurationError, match="AJOXI_LOG"):
        AsyncAjoxi(KEY)


def test_no_secret_in_a_repr() -> None:
    """Neither the client nor its parts print a key or a secret."""
    client = AsyncAjoxi(KEY, webhook_secret="whsec_topsecret")
    oauth = ClientCredentials("https://id.example/token", "me", "hunter2")
    shown = repr((client, client._pipeline, oauth))
    assert KEY not in shown
    assert "topsecret" not in shown
    assert "hunter2" not in shown


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize(
    "part",
    [
        lambda client: client,
        lambda client: client.calls.create,
        lambda client: client.calls.list(),
        lambda client: client.recordings.stream("rec_1"),
    ],
)
def test_a_client_stays_in_its_process(part: Any, how: Any) -> None:
    """What cannot go to another process says so, as an argument of multiprocessing for instance, and leaves nothing half made."""
    client = AsyncAjoxi(KEY)
    with pytest.raises(TypeError, match="cannot be pickled or copied deeply"):
        how(part(client))
    assert copy.copy(client).limiter is client.limiter
    gc.collect()


@pytest.mark.anyio
async def test_variants_share_pool_and_budget() -> None:
    """`with_options` changes what it names and shares connections and limiter."""
    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    client = client_on(transport)
    other = client.with_options(default_headers={"X-Team": "a"})
    assert other.limiter is client.limiter
    await other.calls.retrieve("call_1")
    await client.calls.retrieve("call_1")
    assert [request.headers.get("X-Team") for request in transport.requests] == ["a", None]
    assert other.mode == "test"


@pytest.mark.parametrize(
    "wrong",
    [{"default_headers": {"Authorization": "x"}}, {"timeout": 0}, {"retry": 3}, {"lane": "urgent"}, {"hooks": [print]}],
    ids=" ".join,
)
def test_variants_that_cannot_be(wrong: dict[str, Any]) -> None:
    """`with_options` refuses what the constructor refuses."""
    with pytest.raises((ConfigurationError, InvalidParameterError), match=next(iter(wrong))):
        client_on(ScriptedTransport(answer())).with_options(**wrong)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the environment that is set to nothing counts as not set."""
    for name in ("AJOXI_BASE_URL", "AJOXI_WEBHOOK_SECRET", "AJOXI_LOG"):
        monkeypatch.setenv(name, "")
    client = AsyncAjoxi(KEY)
    assert (client.base_url, client.webhook_secret) == ("https://api.ajoxi.com", None)


@pytest.mark.anyio
async def test_lifetime() -> None:
    """Leaving the block closes the transport; closing twice is fine."""
    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    async with client_on(transport) as client:
        await client.calls.retrieve("call_1")
    await client.aclose()
    assert transport.closed == 2


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("proxy", 5),
        ("proxy", "nonsense"),
        ("proxy", "http://127.0.0.1:1\n"),
        ("proxy", "http://x\udcff:1"),
        ("mode", []),
        ("hooks", 5),
        ("default_headers", {"Authorization": "x"}),
        ("default_headers", 5),
        ("idempotency_header", []),
        ("idempotency_header", "a b"),
        ("proxy", "socks5://127.0.0.1:1"),
        ("tls", True),
        ("session", object()),
        ("transport", 5),
        ("limiter", 5),
        ("retry", 3),
        ("hooks", 3),
        ("webhook_secret", b"whsec_x"),
    ],
)
def test_settings_of_the_wrong_kind(setting: str, value: object) -> None:
    """What cannot be a proxy, a session, a transport and so on is refused by name before anything is opened."""
    given = {"api_key": KEY, setting: value} if setting != "mode" else {"token_provider": lambda: None, setting: value}
    with pytest.raises((ConfigurationError, InvalidParameterError), match=f"^{setting}: "):
        AsyncAjoxi(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("default_headers", {"Authorization": "x"}),
        ("default_headers", 5),
        ("default_headers", []),
        ("idempotency_header", "two words"),
        ("idempotency_header", ["Idempotency-Key"]),
    ],
)
def test_headers_are_refused_by_the_name_of_their_setting(setting: str, value: object) -> None:
    """The error names the setting that was given, and not the option of a call that has the same rules."""
    with pytest.raises(InvalidParameterError) as caught:
        AsyncAjoxi(KEY, **{setting: value})  # type: ignore[arg-type]
    assert caught.value.param == setting
    if setting == "default_headers":
        with pytest.raises(InvalidParameterError, match="^default_headers: "):
            AsyncAjoxi(KEY).with_options(default_headers=value)  # type: ignore[arg-type]


def test_settings_take_subclasses_by_their_value() -> None:
    """Subclasses of str, and numbers of other libraries, are settings like any other."""

    class Safe(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "changed"

    class Whole(int):
        pass

    client = AsyncAjoxi(
        Safe("AJX_TEST_1"), base_url=Safe("http://127.0.0.1:9"), timeout=Whole(3), max_connections=Whole(2)
    )
    assert (client.base_url, type(client.base_url)) == ("http://127.0.0.1:9", str)
    assert client._pipeline.credentials.at_hand == "Bearer AJX_TEST_1"
    assert client._pipeline.timeout == 3.0


@pytest.mark.anyio
async def test_a_header_of_the_callers_own_replaces_ours_however_it_is_spelt() -> None:
    """`idempotency-key`, `USER-AGENT` and `accept` of a caller travel once, and the error knows the caller's key."""
    transport = ScriptedTransport(ExchangeError("cut", sent=True))
    client = AsyncAjoxi("AJX_TEST_1", transport=transport, default_headers={"USER-AGENT": "mine", "accept": "a/b"})
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.calls.create(
            to="+14155551234", from_="+14155550100", extra_headers={"idempotency-key": "k", "ACCEPT": "c/d"}
        )
    sent = {name.lower(): value for name, value in transport.requests[0].headers.items()}
    assert len(sent) == len(transport.requests[0].headers)
    assert (sent["user-agent"], sent["accept"], sent["idempotency-key"]) == ("mine", "c/d", "k")
    assert caught.value.idempotency_key == "k"


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"extra_query": {"a": "\ud83d"}}, {"extra_headers": {"Expect": "100-continue"}}])
async def test_options_that_no_request_can_carry(options: Any) -> None:
    """Half of a surrogate pair, and an Expect that would hold the body back, are refused by name before anything is sent."""
    transport = ScriptedTransport()
    with pytest.raises(InvalidParameterError, match=next(iter(options))):
        await AsyncAjoxi("AJX_TEST_1", transport=transport).calls.retrieve("call_1", **options)
    assert transport.requests == []
