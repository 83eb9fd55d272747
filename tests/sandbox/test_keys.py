"""The keys of a sandbox: named by ids, listed without a trace, deleted for good, and the bound on worlds nobody asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, AuthenticationError, InvalidParameterError, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import Refusal

from .test_control import surface
from .test_journal import killed

TO, FROM = "+15005550100", "+14155550100"


async def status(sandbox: Sandbox, key: str, url: str = "/v1/calls") -> int:
    """What a key is answered."""
    answer = await sandbox.transport().send(Request("GET", url, {"Authorization": f"Bearer {key}"}))
    return answer.status


def unknown(number: int) -> str:
    """A well-formed key that nobody minted."""
    return f"AJX_TEST_unknown{number}"


@pytest.mark.anyio
async def test_what_is_known_of_a_key() -> None:
    """Label, mode, denied routes, when it was made and last used; neither the list nor a repr holds the key."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        key = sandbox.mint_key("live", label="worker 7", deny={"calls.list"})
        own, minted = sandbox.keys()
        assert (own.id, own.minted) == (sandbox.world().id, True)
        assert (minted.label, minted.mode, minted.deny, minted.key) == (
            "worker 7",
            "live",
            ("calls.list",),
            "AJX_LIVE_***",
        )
        assert minted.last_used_at is None
        assert len(sandbox.worlds()) == 1
        assert await status(sandbox, key) == 403
        assert await status(sandbox, unknown(1)) == 200
        _, minted, came = sandbox.keys()
        assert minted.last_used_at is not None
        assert minted.created_at <= minted.last_used_at
        assert (came.minted, came.label, sandbox.world(came.id).key) == (False, "", unknown(1))
        assert key not in repr(sandbox.keys()) + repr(sandbox._worlds.keys[key])
        with pytest.raises(InvalidParameterError, match="label"):
            sandbox.mint_key(label="x" * 101)
        with pytest.raises(Refusal, match="no key"):
            sandbox.world("key_000000000000")
        assert len(sandbox.keys()) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("minted", [True, False])
async def test_a_deleted_key_is_refused(minted: bool) -> None:
    """From then on it is answered 401, its live transcripts end, its world and its timers are gone, and it is not listed."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        key = sandbox.mint_key() if minted else unknown(1)
        world = sandbox.world(key)
        async with AsyncAjoxi(key, transport=sandbox.transport()) as client:
            call = await client.calls.create(to=TO, from_=FROM)
            ended: list[str] = []

            async def follow() -> None:
                async with client.transcripts.stream(call.id) as live:
                    try:
                        await live.until_done()
                    except AuthenticationError as error:
                        ended.append(str(error.status_code))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                with anyio.fail_after(5):
                    while not world.streams:
                        await anyio.sleep(0.001)
                    assert world.in_use
                    sandbox.delete_key(world.id)
                    while not ended:
                        await anyio.sleep(0.001)
            assert await status(sandbox, key) == 401
        assert (ended, world.ended, world.in_use) == (["401"], True, False)
        assert world.account.calls.get(call.id).status == "ringing"  # type: ignore[union-attr]
        await world.clock.advance(60)
        assert world.account.calls.get(call.id).status == "ringing"  # type: ignore[union-attr]
        assert [one.id for one in sandbox.keys()] == [sandbox.world().id]
        for name in (key, world.id):
            with pytest.raises(Refusal, match="no key|deleted"):
                sandbox.delete_key(name)
            with pytest.raises(Refusal, match="no key|deleted"):
                sandbox.world(name)
        with pytest.raises(Refusal, match="own key"):
            sandbox.delete_key(sandbox.api_key)


@pytest.mark.anyio
async def test_a_shared_clock_goes_on_without_it() -> None:
    """Where worlds share a clock, deleting the key of one leaves the others their time."""
    from ajoxi_async.sandbox import VirtualClock

    clock = VirtualClock()
    async with Sandbox(port=None, clock=clock) as sandbox:
        other = sandbox.mint_key()
        gone = sandbox.world(other).inbound_call(from_=TO)
        kept, account = sandbox.inbound_call(from_=TO), sandbox.world(other).account
        sandbox.delete_key(other)
        await clock.advance(until_idle=True)
        assert sandbox.world().account.calls.get(kept.id).status == "completed"  # type: ignore[union-attr]
        assert account.calls.get(gone.id).status == "ringing"  # type: ignore[union-attr]


@pytest.mark.anyio
async def test_a_deleted_key_is_never_minted_again() -> None:
    """Deleting a key changes nothing about the keys that are minted after it."""
    with_deletion, without = Sandbox(port=None), Sandbox(port=None)
    with_deletion.delete_key(with_deletion.mint_key())
    without.mint_key()
    assert with_deletion.mint_key() == without.mint_key()


@pytest.mark.anyio
async def test_worlds_of_unknown_keys_are_bounded() -> None:
    """The one that was used longest ago goes, with its objects; minted ones and those Python asked for stay."""
    async with Sandbox(port=None, clock="manual", max_worlds=3) as sandbox:
        minted = sandbox.mint_key()
        named = unknown(0)
        for world in (sandbox.world(minted), sandbox.world(named)):
            world.inbound_call(from_=TO)
        for number in (1, 2, 3, 1, 4, 5):
            assert await status(sandbox, unknown(number)) == 200
        assert {world.key for world in sandbox.worlds()} == {
            sandbox.api_key, minted, named, unknown(1), unknown(4), unknown(5),
        }  # fmt: skip
        assert len(sandbox.keys()) == 6
        assert len(sandbox.world(named).account.calls) == len(sandbox.world(minted).account.calls) == 1
        for number in range(6, 100):
            assert await status(sandbox, unknown(number)) == 200
        assert (len(sandbox._worlds.keys), sandbox._worlds.unsaved) == (6, None)
    for wrong in (0, -1, True, "1"):
        with pytest.raises(InvalidParameterError, match="max_worlds"):
            Sandbox(max_worlds=wrong)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_a_busy_world_makes_no_room() -> None:
    """A world whose live transcript is being read stays, though another was used later."""
    async with Sandbox(port=None, clock="manual", max_worlds=1) as sandbox:
        async with AsyncAjoxi(unknown(1), transport=sandbox.transport()) as client:
            call = await client.calls.create(to=TO, from_=FROM)
            async with anyio.create_task_group() as tasks:
                live = client.transcripts.stream(call.id)
                async with live:
                    tasks.start_soon(live.until_done)
                    with anyio.fail_after(5):
                        while not any(world.streams for world in sandbox.worlds()):
                            await anyio.sleep(0.001)
                    assert await status(sandbox, unknown(2)) == 200
                    assert len(sandbox.worlds()) == 3
                    assert (await client.calls.retrieve(call.id)).id == call.id
                    assert await status(sandbox, unknown(3)) == 200
                    assert [world.key for world in sandbox.worlds()][1:] == [unknown(1), unknown(3)]
                    tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_keys_survive_a_kill(tmp_path: Path) -> None:
    """Labels, times, deletions and worlds that made room are the same after a restart with the file."""
    file = tmp_path / "x.db"
    options: dict[str, Any] = {"port": None, "clock": "manual", "db": file, "max_worlds": 2}
    async with Sandbox(**options) as sandbox:
        kept, gone = sandbox.mint_key(label="kept"), sandbox.mint_key(label="gone")
        for key in (kept, gone, unknown(1), unknown(2), unknown(3)):
            assert await status(sandbox, key) == 200
        sandbox.delete_key(gone)
        assert await status(sandbox, kept) == 200
        before = sandbox.keys()
        following = Sandbox(port=None)
        for _ in range(2):
            following.mint_key()
        killed(sandbox)
    async with Sandbox(**options) as sandbox:
        again = sandbox.keys()
        assert [(one.id, one.label, one.minted, one.created_at) for one in again] == [
            (one.id, one.label, one.minted, one.created_at) for one in before
        ]
        assert all(one.last_used_at is not None for one in again[1:])
        assert [await status(sandbox, key) for key in (kept, gone)] == [200, 401]
        assert {world.key for world in sandbox.worlds()} == {sandbox.api_key, kept, unknown(2), unknown(3)}
        assert sandbox.mint_key() == following.mint_key()
    async with Sandbox(**options | {"max_worlds": 1}) as sandbox:
        assert {world.key for world in sandbox.worlds()} == {sandbox.api_key, kept, unknown(3)}
        assert await status(sandbox, gone) == 401


@pytest.mark.anyio
async def test_the_last_use_is_written_at_the_end(tmp_path: Path) -> None:
    """A sandbox that was closed knows the moment of each key's last request when it is opened again."""
    file = tmp_path / "x.db"
    async with Sandbox(port=None, db=file) as sandbox:
        for _ in range(3):
            await status(sandbox, sandbox.api_key)
        (own,) = sandbox.keys()
    async with Sandbox(port=None, db=file) as sandbox:
        assert sandbox.keys() == (own,)


@pytest.mark.asyncio
async def test_over_http() -> None:
    """Minted with a label, listed masked, used by its id, deleted; the lists make no world and show no key."""
    async with surface() as (sandbox, ask):
        code, minted = await ask("POST", "keys", {"label": "ci", "deny": ["numbers.provision"]})
        assert (code, minted["label"], minted["deny"], minted["has_world"]) == (201, "ci", ["numbers.provision"], False)
        _, listed = await ask("GET", "keys", X_Ajoxi_Key=unknown(9))
        own, shown = listed["data"]
        assert (own["own"], shown["own"], shown["id"], shown["key"]) == (True, False, minted["id"], "AJX_TEST_***")
        _, worlds = await ask("GET", "worlds", X_Ajoxi_Key=unknown(9))
        assert [one["id"] for one in worlds["data"]] == [own["id"]]
        assert worlds["data"][0]["counts"]["numbers"] == 1
        code, call = await ask("POST", "inbound/calls", {"from": TO}, X_Ajoxi_Key=minted["id"])
        assert (code, sandbox.world(minted["key"]).account.calls.get(call["id"]) is not None) == (201, True)
        _, worlds = await ask("GET", "worlds")
        assert [one["counts"]["calls"] for one in worlds["data"]] == [0, 1]
        assert minted["key"] not in str(worlds) + str(listed)
        assert (await ask("DELETE", f"keys/{minted['id']}"))[0] == 200
        assert (await ask("DELETE", f"keys/{minted['id']}"))[0] == 404
        assert (await ask("DELETE", f"keys/{own['id']}"))[0] == 422
        code, refused = await ask("GET", "clock", X_Ajoxi_Key=minted["id"])
        assert (code, refused["error"]["param"]) == (400, "X-Ajoxi-Key")
        code, refused = await ask("POST", "keys", {"label": "x" * 101})
        assert (code, refused["error"]["param"]) == (400, "label")
