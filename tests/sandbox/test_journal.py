"""Worlds in a file: what was acknowledged is there again, whenever the process ended."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, InternalServerError, InvalidParameterError, RetryPolicy, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import Refusal, VirtualClock
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.storage import rows
from ajoxi_async.sandbox.storage.journal import Journal

from .kill_rounds import run

TO, FROM = "+15005550100", "+14155550100"


class Endpoint:
    """A receiver in place of the network."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.got: list[tuple[str, bytes]] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        await anyio.lowlevel.checkpoint()
        self.got.append((headers["X-Ajoxi-Signature"], body))
        return self.status


def killed(sandbox: Sandbox) -> None:
    """Leave the file as a kill leaves it: closed by the system, with nothing more written."""
    assert sandbox._journal is not None
    sandbox._journal.close()
    sandbox._journal = sandbox._worlds.save = None


async def everything(client: AsyncAjoxi) -> Any:
    """What a client can see of its world."""
    return [
        [call async for call in client.calls.list(limit=7)],
        [message async for message in client.messages.list()],
        [recording async for recording in client.recordings.list()],
        [number async for number in client.numbers.search(status="active")],
        [webhook async for webhook in client.webhooks.list()],
        [call async for call in client.calls.list(metadata={"team": "blue"})],
    ]


@pytest.mark.anyio
async def test_a_killed_sandbox_goes_on(tmp_path: Path) -> None:
    """Objects, indexes, timers, pending deliveries, opt-outs, secrets, keys and the clock: as if it had not been killed."""
    fates: list[Any] = []
    for kill in (False, True):
        endpoint, file = Endpoint(500), tmp_path / f"{kill}.db"

        async def first(sandbox: Sandbox) -> str:
            key = sandbox.mint_key(deny={"numbers.release"})
            async with AsyncAjoxi(key, transport=sandbox.transport()) as client:
                webhook = await client.webhooks.create(
                    url="http://127.0.0.1:9/", events=["call.completed", "recording.ready", "message.delivered"]
                )
                for number in range(20):
                    await client.calls.create(
                        to=TO, from_=FROM, record=True, metadata={"team": "blue" if number % 3 else "red"}
                    )
                await client.messages.send(to=TO, from_=FROM, body="hi")
                found = await client.numbers.search(limit=2)
                taken = [await client.numbers.provision(phone_number=str(one.phone_number)) for one in found.data]
                sandbox.inbound_message(from_="+12125550199", body="STOP", key=key)
                await sandbox.world(key).clock.advance(3.5)
                sandbox.world(key).rotate_secret(webhook.id)
                await sandbox.world(key).clock.advance(100)
                await client.numbers.update(taken[0].id, caller_id={"name": "Ada"})
                await client.calls.create(to="+15005550123", from_=FROM)
                await client.webhooks.list()
            return key

        async def second(sandbox: Sandbox, key: str) -> None:
            async with AsyncAjoxi(key, transport=sandbox.transport()) as client:
                before = len(endpoint.got), sandbox.world(key).clock.now()
                shown = await everything(client)
                fired = await sandbox.world(key).clock.advance(until_idle=True)
                made = await client.calls.create(to=TO, from_=FROM)
                fates.append((before, shown, fired, await everything(client), made.id, sorted(endpoint.got)))
                fates[-1] += (sandbox.world(key).dead_letters(), sandbox.mint_key())

        options: dict[str, Any] = {"port": None, "clock": "manual", "post": endpoint.post, "strict_keys": True}
        if kill:
            async with Sandbox(**options, db=file) as sandbox:
                key = await first(sandbox)
                killed(sandbox)
            async with Sandbox(**options, db=file) as sandbox:
                await second(sandbox, key)
        else:
            async with Sandbox(**options) as sandbox:
                await second(sandbox, await first(sandbox))
    for whole, again in zip(*fates, strict=True):
        assert whole == again


@pytest.mark.anyio
async def test_retries_resume_at_their_due_time(tmp_path: Path) -> None:
    """What was due while nobody ran is made once, at once; what is due later waits for its moment, as without the pause."""
    endpoint = Endpoint(500)
    began = VirtualClock().now()
    for pause, moments in ((0, [0]), (20, [20, 35, 155]), (10_000, [10_000, 13_355]), (90_000, [90_000])):
        clock = VirtualClock()
        async with Sandbox(port=None, clock=clock, post=endpoint.post, db=tmp_path / "x.db") as sandbox:
            if not pause:
                async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
                    await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
                sandbox.inbound_message(from_=TO, body="hi")
            clock.start_at(began + pause)
            assert len(sandbox.world().pending()) == 1
            logged = len(sandbox.world().deliveries())
            for moment in moments:
                await clock.advance(to=began + moment)
            log = sandbox.world().deliveries()[logged:]
            assert [round(attempt.at.timestamp() - began) for attempt in log] == moments
            assert len(sandbox.dead_letters()) == (pause == 90_000)
            killed(sandbox)
    assert len({body for _, body in endpoint.got}) == 1


@pytest.mark.anyio
async def test_reset_and_restore_are_kept(tmp_path: Path) -> None:
    """A world that was reset or restored is read back as it was made, and other worlds are left alone."""
    file = tmp_path / "x.db"
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        other = sandbox.mint_key()
        async with (
            AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
            AsyncAjoxi(other, transport=sandbox.transport()) as neighbour,
        ):
            await neighbour.calls.create(to=TO, from_=FROM)
            kept = await client.calls.create(to=TO, from_=FROM)
            snapshot = sandbox.snapshot()
            await client.calls.create(to=TO, from_=FROM)
            sandbox.reset()
            assert (await client.calls.list()).data == ()
            sandbox.restore(snapshot)
            await client.calls.list()
        killed(sandbox)
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        async with (
            AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
            AsyncAjoxi(other, transport=sandbox.transport()) as neighbour,
        ):
            assert [call.id for call in (await client.calls.list()).data] == [kept.id]
            assert len((await neighbour.calls.list()).data) == 1


@pytest.mark.anyio
async def test_files_that_cannot_be(tmp_path: Path) -> None:
    """A file in use, of another seed or of something else is refused by name, and left as it was."""
    file, other = tmp_path / "x.db", tmp_path / "y.db"
    other.write_bytes(b"not a database" * 100)
    async with Sandbox(port=None, db=file):
        with pytest.raises(InvalidParameterError, match="db: .*locked"):
            async with Sandbox(port=None, db=file):
                pass
    with pytest.raises(InvalidParameterError, match="db: .*seed 0"):
        async with Sandbox(port=None, db=file, seed=1):
            pass
    with pytest.raises(InvalidParameterError, match="db: .*not a database"):
        async with Sandbox(port=None, db=other):
            pass
    assert other.read_bytes() == b"not a database" * 100
    with pytest.raises(InvalidParameterError, match="db"):
        async with Sandbox(port=None, db=tmp_path / "no" / "x.db"):
            pass


@pytest.mark.anyio
@pytest.mark.parametrize("linked", [False, True])
async def test_a_file_in_use_stays_locked(linked: bool, tmp_path: Path) -> None:
    """Reading the file in the same process, which frees SQLite's own locks, lets no second sandbox write into it."""
    file = other = tmp_path / "x.db"
    if linked:
        other = tmp_path / "link.db"
        other.symlink_to(file)
    async with Sandbox(port=None, db=file):
        for _ in range(2):
            file.read_bytes()
            with pytest.raises(InvalidParameterError, match=f"db: .*locked by another sandbox .process {os.getpid()}"):
                async with Sandbox(port=None, db=other):
                    pass
    async with Sandbox(port=None, db=other):
        pass
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.db", "x.db"][not linked :]


@pytest.mark.anyio
async def test_the_lock_of_a_killed_sandbox(tmp_path: Path) -> None:
    """Another process is refused while a sandbox runs, by name; when it was killed its file can be used at once."""
    file = tmp_path / "x.db"
    code = """
import anyio, sys
from ajoxi_async import Sandbox
async def main():
    async with Sandbox(port=None, db=sys.argv[1]):
        print("open", flush=True)
        await anyio.sleep(30)
anyio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            await anyio.to_thread.run_sync(process.stdout.readline)
            with pytest.raises(InvalidParameterError, match=f"locked by another sandbox .process {process.pid}"):
                async with Sandbox(port=None, db=file):
                    pass
        finally:
            process.kill()
    async with Sandbox(port=None, db=file):
        pass


@pytest.mark.anyio
async def test_what_cannot_be_written_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a 503; once there is room again, what happened meanwhile is written as well."""
    file = tmp_path / "x.db"
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        async with AsyncAjoxi(
            sandbox.api_key, transport=sandbox.transport(), retry=RetryPolicy(max_retries=0)
        ) as client:
            journal = sandbox._journal
            assert journal is not None
            write = journal._write

            def full(changes: Any) -> None:
                raise sqlite3.OperationalError("database or disk is full")

            monkeypatch.setattr(journal, "_write", full)
            with pytest.raises(InternalServerError, match="full"):
                await client.calls.create(to=TO, from_=FROM)
            monkeypatch.setattr(journal, "_write", write)
            second = await client.calls.create(to=TO, from_=FROM)
        killed(sandbox)
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            calls = (await client.calls.list()).data
            assert (len(calls), calls[0].id) == (2, second.id)


@pytest.mark.anyio
async def test_a_restored_world_is_written_by_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A world that is restored is written as a whole, in a thread, and once more where that fails the first time."""
    threads, failing = [], [True]
    file = tmp_path / "x.db"

    def counted(account: Account) -> Iterator[tuple[str, str]]:
        threads.append(threading.current_thread())
        if failing.pop() if failing else False:
            raise sqlite3.OperationalError("database or disk is full")
        yield from rows.everything(account)

    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        world = sandbox.world()
        await world.save()
        monkeypatch.setattr("ajoxi_async.sandbox.storage.journal.everything", counted)
        world.seed_calls(50)
        kept = world.snapshot()
        ids = [call.id for call in world.account.calls.newest_first()]
        world.inbound_call(from_=TO)
        world.restore(kept)
        with pytest.raises(Refusal, match="full"):
            await world.save()
        await world.save()
        killed(sandbox)
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        assert [call.id for call in sandbox.world().account.calls.newest_first()] == ids


@pytest.mark.asyncio
async def test_a_save_that_asyncio_cancels(tmp_path: Path) -> None:
    """A `task.cancel()` of asyncio, which no shield of anyio stops, lets the write end before the file is closed."""
    file, begun, free = tmp_path / "x.db", threading.Event(), threading.Event()
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        journal, world = sandbox._journal, sandbox.world()
        assert journal is not None
        write = journal._write

        def slow(changes: Any) -> None:
            begun.set()
            assert free.wait(20)
            write(changes)

        journal._write = slow  # type: ignore[method-assign]
        call = world.inbound_call(from_=TO)
        task = asyncio.create_task(world.save())
        await anyio.to_thread.run_sync(begun.wait)
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
        assert not task.done()
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        journal._write = write  # type: ignore[method-assign]
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        assert [one.id for one in sandbox.world().account.calls.newest_first()] == [call.id]


@pytest.mark.anyio
async def test_many_requests_share_a_commit(tmp_path: Path) -> None:
    """While one commit is under way, whoever else asks waits for the next one, not for one each."""
    async with Sandbox(port=None, clock="manual", rate_limit=None, db=tmp_path / "x.db") as sandbox:
        journal = sandbox._journal
        assert journal is not None
        write, commits = journal._write, 0

        def counting(changes: Any) -> None:
            nonlocal commits
            commits += 1
            time.sleep(0.005)
            write(changes)

        journal._write = counting  # type: ignore[method-assign]
        body = f'{{"to": "{TO}", "from": "{FROM}"}}'.encode()
        request = Request("POST", "/v1/calls", {"Authorization": f"Bearer {sandbox.api_key}"}, body)
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(sandbox.transport().send, request)
        assert 1 <= commits < 20
        assert len(sandbox.world().account.calls) == 100


@pytest.mark.asyncio
async def test_sigkill(tmp_path: Path) -> None:
    """Killed by SIGKILL at random moments, nothing that was acknowledged is lost; the script beside it does fifty."""
    done = await run(tmp_path / "x.db", 2, seed=1)
    assert done.faults == []
    assert done.acknowledged


def modes(folder: Path) -> dict[str, str]:
    """The mode of each file."""
    return {file.name: oct(S_IMODE(file.stat().st_mode)) for file in folder.iterdir()}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.anyio
async def test_nobody_else_reads_the_file(tmp_path: Path) -> None:
    """The file and its side files are the owner's alone, also where they were made readable before."""
    before = os.umask(0)
    try:
        file = tmp_path / "worlds.db"
        for _ in range(2):
            async with Sandbox(port=None, clock="manual", db=file) as sandbox:
                sandbox.inbound_call(from_=TO)
                async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
                    await client.calls.list()
                assert modes(tmp_path) == dict.fromkeys(("worlds.db", "worlds.db-lock", "worlds.db-wal"), "0o600")
            file.chmod(0o644)
            (tmp_path / "worlds.db-wal").touch(0o666)
        text = tmp_path / "notes.txt"
        text.write_text("no sandbox's")
        text.chmod(0o644)
        with pytest.raises(InvalidParameterError, match="db"):
            await Sandbox(port=None, db=text).__aenter__()
        assert modes(tmp_path)["notes.txt"] == "0o644"
    finally:
        os.umask(before)


@pytest.mark.anyio
async def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """A folder that is not there is an error that names the parameter."""
    with pytest.raises(InvalidParameterError, match="db"):
        await Sandbox(port=None, db=tmp_path / "nowhere" / "worlds.db").__aenter__()
    async with Sandbox(port=None, db=":memory:") as sandbox:
        assert sandbox.world().rings() == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", [1, 2, 4, 6, 8, 12])
async def test_a_task_that_is_cancelled_while_it_closes_the_sandbox(tmp_path: Path, turns: int) -> None:
    """`task.cancel()` during the end of the block closes the sandbox whole: its file is free, and nothing is lost."""
    path = tmp_path / "a.db"
    sandbox = Sandbox(db=path)
    await sandbox.__aenter__()
    async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        call = await client.calls.create(to="+14155551234", from_="+14155550100")
    closing = asyncio.ensure_future(sandbox.__aexit__(None, None, None))
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    with pytest.raises(OSError):
        await anyio.connect_tcp("127.0.0.1", int(sandbox.base_url.rpartition(":")[2]))
    async with Sandbox(db=path) as again, AsyncAjoxi(again.api_key, base_url=again.base_url) as client:
        assert (await client.calls.retrieve(call.id)).id == call.id


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_while_the_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`task.cancel()` while a thread opens the file leaves it unlocked."""
    entered, go_on = threading.Event(), threading.Event()
    own = Journal._open

    def slowly(journal: Journal) -> Any:
        entered.set()
        go_on.wait(10)
        return own(journal)

    monkeypatch.setattr(Journal, "_open", slowly)
    opening = asyncio.ensure_future(Sandbox(db=tmp_path / "a.db").__aenter__())
    await anyio.to_thread.run_sync(entered.wait, 10)
    opening.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait([opening])
    assert opening.cancelled()
    async with Sandbox(db=tmp_path / "a.db"):
        pass
