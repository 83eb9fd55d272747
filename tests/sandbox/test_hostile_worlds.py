"""What must not be lost, shown or half done when time, keys and files are used together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox import AdvanceStoppedError, Timing, VirtualClock, World
from ajoxi_async.sandbox.conversation.script import updates
from ajoxi_async.sandbox.server.control.surface import Control

TO, FROM = "+15005550100", "+14155550100"


async def ask(sandbox: Sandbox, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Ask the control surface without a socket; what it raises would be a 500."""
    control = Control(sandbox._worlds, sandbox.api_key, "token", sandbox.requests)
    sent = {"Host": "localhost", "Authorization": "Bearer token", **headers}
    request = Request(method, f"/_ajoxi/{path}", sent, json.dumps(body).encode() if body is not None else None)
    answer = await control.handle(request, "127.0.0.1")
    assert isinstance(answer, Response)
    return answer.status, json.loads(answer.body)


@pytest.mark.anyio
@pytest.mark.parametrize("clock", ["manual", "auto", "live"])
async def test_a_clock_that_moved_while_nothing_was_due_is_not_set_back_by_a_restart(
    tmp_path: Path, clock: str
) -> None:
    """The moment that an advance reached is there again after a restart, also where nothing else changed."""
    db = tmp_path / "sandbox.db"
    async with Sandbox(port=None, clock=clock, db=db) as sandbox:
        if clock == "live":
            sandbox.pause()
        await sandbox.advance(3600)
        reached = sandbox.clock.now()
    async with Sandbox(port=None, clock=clock, db=db) as sandbox:
        assert reached <= sandbox.clock.now() < reached + 60


@pytest.mark.anyio
async def test_an_advance_that_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """The control surface answers an advance once its moment is in the file."""
    db = tmp_path / "sandbox.db"
    async with Sandbox(port=None, clock="manual", db=db) as sandbox:
        status, _ = await ask(sandbox, "POST", "clock/advance", {"seconds": 3600})
        reached = sandbox.clock.now()
        assert sandbox._journal is not None
        sandbox._journal.close()
        sandbox._journal = sandbox._worlds.save = None
    async with Sandbox(port=None, clock="manual", db=db) as sandbox:
        assert (status, sandbox.clock.now()) == (200, reached)


async def busy_world(sandbox: Sandbox, key: str) -> World:
    """A world in which a day takes a while to pass."""
    contacts = [f"+1415555{number:04d}" for number in range(1000)]
    async with AsyncAjoxi(key, transport=sandbox.transport()) as client:
        await client.calls.create_campaign(from_=FROM, name="long", mode="power", contacts=contacts)
    return sandbox._worlds.by_key[key]


@pytest.mark.anyio
async def test_an_advance_of_a_deleted_key_does_not_end_as_if_its_goal_was_reached() -> None:
    """It is told that it was stopped, in Python and over the control surface."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        key = sandbox.mint_key()
        world = await busy_world(sandbox, key)
        assert isinstance(world.clock, VirtualClock)
        answers: list[Any] = []

        async def advance() -> None:
            with pytest.raises(AdvanceStoppedError):
                await world.advance(
                    86_400, progress=lambda _: sandbox.delete_key(key) if key in sandbox._worlds.by_key else None
                )
            answers.append("python")

        async def advance_over_http() -> None:
            answers.append(await ask(sandbox, "POST", "clock/advance", {"seconds": 86_400}, **{"X-Ajoxi-Key": key}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(advance)
            while not world.clock.advancing:
                await anyio.lowlevel.checkpoint()
            tasks.start_soon(advance_over_http)
        answers.remove("python")
        ((status, answer),) = answers
        assert (status, answer["error"]["code"]) == (409, "advance_stopped")


@pytest.mark.anyio
async def test_a_clock_of_several_worlds_goes_on_when_one_of_their_keys_is_deleted() -> None:
    """Deleting a key does not stop an advance of the others."""
    clock = VirtualClock()
    async with Sandbox(port=None, clock=clock) as sandbox:
        key = sandbox.mint_key()
        world = await busy_world(sandbox, key)
        began = clock.now()
        await world.advance(60, progress=lambda _: sandbox.delete_key(key) if key in sandbox._worlds.by_key else None)
        assert clock.now() == began + 60


@pytest.mark.anyio
async def test_a_world_whose_time_is_advanced_does_not_make_room_for_another() -> None:
    """It is in use, so that the advance ends in the world in which it began."""
    async with Sandbox(port=None, clock="manual", max_worlds=1) as sandbox:
        world = await busy_world(sandbox, "AJX_TEST_first")
        others = iter(range(1_000_000))

        def come(_: object) -> None:
            sandbox._worlds.of(f"AJX_TEST_other{next(others)}")

        await world.advance(1, progress=come)
        assert not world.ended
        come(None)
        assert world.ended


@pytest.mark.anyio
async def test_no_repr_shows_a_key_or_a_secret() -> None:
    """Whatever a failed assertion or an error tracker prints of a sandbox."""
    async with Sandbox(port=None, clock="manual", control_token="token-of-control") as sandbox:
        key = sandbox.mint_key()
        world = sandbox.world(key)
        async with AsyncAjoxi(key, transport=sandbox.transport()) as client:
            webhook = await client.webhooks.create(url="http://127.0.0.1/x", events=["call.completed"])
        (secret,) = world.account.secrets[webhook.id]
        control = Control(sandbox._worlds, sandbox.api_key, sandbox.control_token, sandbox.requests)
        shown = "".join(
            map(repr, (world, world.account, world._queues, world.feed, sandbox._worlds, sandbox._app, control, secret))
        )
        for text in (key, sandbox.api_key, secret.value, sandbox.control_token):
            assert text not in shown
        assert world.id in shown


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["self", "settings", "x"])
async def test_a_setting_that_does_not_exist_is_never_a_500(name: str) -> None:
    """Any name in the body is answered 400, which names it."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        status, answer = await ask(sandbox, "PUT", "settings", {name: 1})
        assert (status, answer["error"]["param"]) == (400, name)


@pytest.mark.parametrize(
    ("param", "wrong"),
    [
        ("marks", "10"),
        ("marks", 1.5),
        ("rate_limit", 0),
        ("rate_limit", "100"),
        ("timing", "human"),
        ("settings", {"capacity": 1}),
        ("clock", 5),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_where_it_is_given(param: str, wrong: Any) -> None:
    """And not with the first request, by an error from within."""
    with pytest.raises(InvalidParameterError) as caught:
        Sandbox(port=None, **{param: wrong})
    assert caught.value.param == param


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1, "3", 1e300])
@pytest.mark.parametrize("param", ["ring", "talk", "campaign_pace", "heartbeat"])
def test_a_time_that_has_no_end_is_refused(param: str, wrong: Any) -> None:
    """What would be due after the last moment that can be told breaks every list of what is due."""
    with pytest.raises(InvalidParameterError) as caught:
        Timing(**{param: wrong})
    assert caught.value.param == param


WRONG: dict[str, Callable[[Sandbox], object]] = {
    "mode": lambda sandbox: sandbox.mint_key("prod"),  # type: ignore[arg-type]
    "deny": lambda sandbox: sandbox.mint_key(deny="numbers.provision"),  # type: ignore[arg-type]
    "label": lambda sandbox: sandbox.mint_key(label="half \ud800"),
    "snapshot": lambda sandbox: sandbox.restore("mark_1"),  # type: ignore[arg-type]
    "start": lambda sandbox: sandbox.due(1.5),  # type: ignore[arg-type]
    "amount": lambda sandbox: sandbox.seed_calls(-1),
    "code": lambda sandbox: sandbox.faults.add(action="status", code="\ud800"),
    "speed": lambda sandbox: sandbox.resume(speed="2"),  # type: ignore[arg-type]
}


@pytest.mark.anyio
@pytest.mark.parametrize("param", WRONG)
async def test_a_wrong_argument_is_named_and_changes_nothing(param: str) -> None:
    """Also where it is of another type, or a text that no answer can carry."""
    async with Sandbox(port=None, clock="live") as sandbox:
        with pytest.raises(InvalidParameterError) as caught:
            WRONG[param](sandbox)
        assert caught.value.param == param
        assert (len(sandbox.keys()), len(sandbox.faults), sandbox.world().counts()["calls"]) == (1, 0, 0)
        assert (await ask(sandbox, "GET", "keys"))[0] == 200


@pytest.mark.anyio
@pytest.mark.parametrize("goal", [{"seconds": "5"}, {"to": "2027"}, {"to": datetime(2027, 1, 1)}])  # noqa: DTZ001
async def test_a_goal_of_the_wrong_kind_does_not_move_time(goal: dict[str, Any]) -> None:
    """A time without a zone would be another moment on another machine."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        began = sandbox.clock.now()
        with pytest.raises(InvalidParameterError) as caught:
            await sandbox.advance(**goal)
        assert (caught.value.param, sandbox.clock.now()) == (next(iter(goal)), began)


@pytest.mark.anyio
@pytest.mark.parametrize("label", ["a" * 101, "\x1b[31m", "two\nlines", "\x9b2J"])
@pytest.mark.parametrize("route", ["keys", "snapshots"])
async def test_a_label_with_control_characters_or_without_end_is_refused(route: str, label: str) -> None:
    """Whoever prints a list of labels runs no escape sequences."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        status, answer = await ask(sandbox, "POST", route, {"label": label})
        assert (status, answer["error"]["param"]) == (400, "label")


@pytest.mark.anyio
async def test_a_snapshot_of_another_key_is_refused() -> None:
    """Two worlds would give out the same ids and sign with the same secrets."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        other = sandbox.world(sandbox.mint_key())
        await other.advance(60)
        account, began = sandbox.world().account, sandbox.clock.now()
        with pytest.raises(InvalidParameterError) as caught:
            sandbox.restore(other.snapshot())
        with pytest.raises(InvalidParameterError):
            sandbox.rewind(other.marks()[0])
        assert caught.value.param == "snapshot"
        assert (sandbox.world().account, sandbox.clock.now()) == (account, began)


def test_a_neutral_sentiment_has_no_sign() -> None:
    """An angry conversation begins with 0.0: ``-0.0`` is another text on the wire."""
    spoken = updates("call_1", 60.0, ai=True, angry=True)
    moods = [update.segment.sentiment for update in spoken if update.segment.sentiment is not None]
    assert str(moods[0]) == "0.0"
    assert moods[-1] < 0


@pytest.mark.anyio
async def test_a_token_that_is_not_utf_8_is_a_wrong_token() -> None:
    """It is answered 401, as any other."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        status, answer = await ask(sandbox, "GET", "keys", Authorization="Bearer \udcff")
        assert (status, answer["error"]["code"]) == (401, "authentication_required")
