"""Random walks of a campaign through crashes, faults, commands, webhooks, restored ledgers and steps of the clock.

A walk is a list of steps. After the last one the faults are taken away, the campaign is run to its end, and the sandbox's own record
of rings says whether the dialer has kept its rules. Whatever can be judged when a request leaves is judged then.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
from attrs import define, field
from hypothesis import strategies as st

from ajoxi_async.contract.headers import SIGNATURE
from ajoxi_async.dialer import Campaign, Ledger, Retry, Windows
from ajoxi_async.dialer.clock import SandboxClock
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.protocol.errors import AjoxiError
from ajoxi_async.sandbox import Population, Settings
from ajoxi_async.webhooks import parse_event

from .dying import InlineLedger, Process
from .scene import Post, Scene, copy_ledger, magic, people, scene

RETRY = {"busy": 600.0, "no_answer": 3600.0, "voicemail": 7200.0}
CAP, CONCURRENCY, ATTEMPTS = 2, 3, 3
#: Zones that are open for eight hours a day, seen from UTC at quite different times.
ZONES = ("America/Phoenix", "Asia/Tokyo")
NUMBERS = [*people(8), magic(101), magic(102), magic(105), magic(108), magic(104), magic(103)]
DAY = 86_400.0


@define(eq=False)
class SteppedClock(SandboxClock):
    """The clock of a machine whose time is set by somebody else, while the API's goes on."""

    inner: Any
    offset: float = 0.0

    def __attrs_post_init__(self) -> None:
        SandboxClock.__init__(self, self.inner)

    def now(self) -> float:
        return super().now() + self.offset

    async def wait(self, bell: Any, until: float | None) -> None:
        # As the system's clock is waited for: it is read again after half a minute.
        soon = super().now() + 30
        await super().wait(bell, None if until is None else min(until - self.offset, soon) if self.offset else until)


@define(eq=False)
class Walk:
    """The state of a walk, and what it has found."""

    stage: Scene
    group: Any
    release: bool
    clock: SteppedClock
    threaded: bool = True
    faults: list[str] = field(factory=list)
    process: Process | None = None
    paused: bool = False
    forbidden: set[str] = field(factory=set)
    #: What is believed when the ledger is restored: the copy, whether it was paused, and who was forbidden.
    backup: tuple[bool, set[str]] | None = None
    #: Numbers for which a person or a restored ledger has taken a decision that may let a phone ring a second time.
    decided: set[str] = field(factory=set)
    restored: bool = False
    stepped: bool = False
    doubts: list[int] = field(factory=list)
    hooks: list[tuple[bytes, str]] = field(factory=list)
    secret: str = ""
    log: list[str] = field(factory=list)
    _reader: sqlite3.Connection | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "windows": Windows("9-17"),
            "retry": {name: Retry(delay) for name, delay in RETRY.items()},
            "attempts": ATTEMPTS,
            "per_number_24h": CAP,
            "concurrency": CONCURRENCY,
            "ring_timeout": 20,
            "unknown": "release" if self.release else "hold",
        }

    def fail(self, text: str) -> None:
        self.faults.append(text)

    # What is judged when a request leaves

    async def judge(self, post: Post) -> None:
        world = self.stage.sandbox.world()
        if self.paused:
            self.fail("a request left after `pause` had returned")
        if post.number in self.forbidden:
            self.fail("a number on the do-not-call list was called")
        self._judge_intent(post)
        zone = ZoneInfo(self.zone(post.number))
        for moment in (self.clock.now(), self.clock.now() + 20):
            local = datetime.fromtimestamp(moment, zone)
            if not 9 <= local.hour < 17:
                self.fail(f"a phone may ring at {local:%H:%M:%S} of its zone")
        calls = [call for id in {ring.call_id for ring in world.rings()} if (call := world.account.calls.get(id))]
        away = sum(call.ended_at is None for call in calls)
        if away >= CONCURRENCY:
            self.fail(f"{away} calls were away when another was begun")
        mine = [call for call in calls if call.to == post.number]
        if any(call.ended_at is None for call in mine) and post.number not in self.decided:
            self.fail("a number was called during its call")
        if not self.stepped:
            self._judge_times(post, mine)

    def _judge_times(self, post: Post, calls: list[Any]) -> None:
        recent = [call for call in calls if call.created_at.timestamp() > post.at - DAY]
        if len(recent) >= CAP and post.number not in self.decided:
            self.fail(f"{len(recent) + 1} calls in 24 hours")
        ended = [call for call in calls if call.ended_at is not None]
        if ended and post.number not in self.decided:
            last = max(ended, key=lambda call: call.created_at)
            delay = RETRY.get(str(last.disposition.value))
            if delay is None:
                self.fail(f"called again after {last.disposition}")
            elif post.at < last.ended_at.timestamp() + delay:
                self.fail(f"called {last.ended_at.timestamp() + delay - post.at} s before it was due")

    def _judge_intent(self, post: Post) -> None:
        """The intent is durable, as another process sees it."""
        if self._reader is None:
            self._reader = sqlite3.connect(f"file:{self.stage.path}?mode=ro", uri=True, check_same_thread=False)
        found = References("autumn").read(post.reference)
        assert found is not None
        rows = self._reader.execute(
            "SELECT state, intent_at FROM attempt WHERE number = ? AND n = ?", (found.number, found.attempt)
        ).fetchall()
        if not rows or rows[0][1] > self.clock.now() * 1000 + 1 or (rows[0][0] not in {0, 1, 2}):
            self.fail(f"a request left without an intent: {rows}")

    @staticmethod
    def zone(number: str) -> str:
        return ZONES[int(number[-1]) % 2]

    # Steps

    async def step(self, step: tuple[Any, ...]) -> None:
        self.log.append(f"{self.stage.clock.now() - 1_767_225_600:.3f} {step}")
        await getattr(self, f"do_{step[0]}")(*step[1:])

    async def do_advance(self, seconds: float) -> None:
        await self.settled()
        await self.stage.clock.advance(seconds)
        await self.settled()

    async def settled(self) -> None:
        """Let what is under way in this moment be done: a step belongs to a moment, not to a speed of the machine."""
        process = self.process
        for _ in range(3):
            await anyio.sleep(0)
            if (
                process is not None
                and process.alive
                and process.campaign is not None
                and process.campaign._run is not None
            ):
                with anyio.move_on_after(0.5):
                    await process.campaign._run.running.activity.quiet()

    async def do_start(self, boundaries: int | None = None) -> None:
        if self.process is not None and self.process.alive:
            return
        await self.do_kill()
        process = self.process = Process(self.stage, self.settings, self.clock, threaded=self.threaded)
        process.life.ends_at = boundaries
        self.group.start_soon(process.live)
        with anyio.move_on_after(1):
            while process.alive and not process.seen:
                await anyio.sleep(0.001)
        await self.settled()

    async def do_kill(self) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        before = await self.in_doubt("5")
        died = process.alive
        await process.kill()
        if isinstance(process.error, BaseException) and not process.life.dead:
            self.fail(f"the run ended with {process.error!r}")
        if died:
            self.doubts.append(await self.in_doubt() - before)

    async def do_crash(self, boundaries: int, seconds: float) -> None:
        """Die at the n-th boundary from now, or from the start of the process if none is alive."""
        process = self.process
        if process is not None and process.alive:
            process.life.ends_at = process.life.boundaries + boundaries
        else:
            await self.do_start(boundaries)
        await self.do_advance(seconds)
        await self.do_kill()

    async def in_doubt(self, states: str = "0, 5") -> int:
        """Attempts that are in doubt, or will be as soon as somebody opens the ledger."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{self.stage.path}?mode=ro", uri=True)) as db:
            ((found,),) = db.execute(f"SELECT count(*) FROM attempt WHERE state IN ({states})").fetchall()
            return int(found)
        return 0

    @contextmanager
    def _reopened(self) -> Iterator[None]:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        yield

    async def remote(self, what: str, *arguments: Any) -> None:
        """A command of another process."""
        async with InlineLedger(self.stage.path) as ledger:
            campaign = await Campaign.open(ledger, None, "autumn", clock=self.clock)
            await getattr(campaign, what)(*arguments)

    async def command(self, what: str, remote: bool, *arguments: Any) -> None:
        process = self.process
        if not remote and process is not None and process.alive and process.campaign is not None:
            with suppress(AjoxiError):
                await getattr(process.campaign, what)(*arguments)
                return
            await self.do_kill()
        await self.remote(what, *arguments)

    async def do_pause(self, remote: bool) -> None:
        await self.command("pause", remote)
        self.paused = True

    async def do_resume(self, remote: bool) -> None:
        self.paused = False
        await self.command("resume", remote)

    async def do_dnc(self, place: int, remote: bool) -> None:
        number = NUMBERS[place % len(NUMBERS)]
        await self.command("do_not_call", remote, number)
        self.forbidden.add(number)

    async def do_fault(self, action: str, options: dict[str, Any]) -> None:
        self.stage.sandbox.faults.add(action=action, **options)  # type: ignore[arg-type]

    async def do_calm(self) -> None:
        self.stage.sandbox.faults.clear()

    async def do_webhooks(self, places: list[int]) -> None:
        """Events come in any order, again and again, or never."""
        for place in places:
            if not self.hooks:
                return
            event = parse_event(*self.hooks[place % len(self.hooks)], self.secret)
            process = self.process
            try:
                if process is not None and process.alive and process.campaign is not None:
                    await process.campaign.event(event)
                else:
                    await self.remote("event", event)
            except AjoxiError:
                if process is None or not process.life.dead:
                    raise

    async def do_backup(self) -> None:
        await self.do_kill()
        copy_ledger(self.stage.path, Path(f"{self.stage.path}.copy"))
        self.backup = (self.paused, set(self.forbidden))

    async def do_restore(self) -> None:
        """Put the copy in place of the ledger. What was on the way is shown by the list before somebody opens it."""
        if self.backup is None:
            return
        await self.do_kill()
        self.stage.sandbox.faults.clear()
        await self.stage.clock.advance(1200)
        with self._reopened():
            await self.stage.ledger.__aexit__(None, None, None)
            copy_ledger(Path(f"{self.stage.path}.copy"), self.stage.path)
            with suppress(FileNotFoundError):
                os.unlink(f"{self.stage.path}-shm")
            await self.stage.ledger.__aenter__()
        self.paused, self.forbidden = self.backup[0], set(self.backup[1])
        self.restored = True

    async def do_set_clock(self, seconds: float) -> None:
        self.clock.offset += seconds
        self.stepped = True

    async def do_decide(self, done: bool) -> None:
        """A person decides on what is in doubt."""
        async with InlineLedger(self.stage.path) as ledger:
            campaign = await Campaign.open(ledger, None, "autumn", clock=self.clock)
            doubts = await campaign.unknown()
            if doubts:
                self.decided.update(doubt.number for doubt in doubts)
                with suppress(AjoxiError):
                    await (campaign.done if done else campaign.release)(*doubts)

    # The end

    async def finish(self) -> None:
        """Take the trouble away, run to the end, and judge."""
        self.log.append("finish")
        self.stage.sandbox.faults.clear()
        self.clock.offset = 0.0
        if self.paused:
            await self.do_resume(remote=True)
        await self.do_start()
        process = self.process
        assert process is not None
        with anyio.move_on_after(60):
            for _ in range(400):
                if process.ended.is_set():
                    break
                await self.do_advance(3600)
                if (
                    process.seen
                    and process.seen[-1].total
                    and process.campaign is not None
                    and process.campaign._run is None
                ):
                    break
            await process.ended.wait()  # Its last steps take real time, of which many hours without events take none.
        if not process.ended.is_set():
            self.fail(f"the run did not end: {process.seen[-1:]}")
        if process.error is not None:
            self.fail(f"the run ended with {process.error!r}")
        await self.do_kill()
        async with Ledger(self.stage.path) as ledger:
            audit = await self.stage.audit(ledger)
            rows = await self.stage.rows("SELECT count(*) FROM contact", ledger=ledger)
            incidents = await self.stage.rows("SELECT count(*) FROM attempt WHERE incident = 1", ledger=ledger)
        self.faults += audit.faults
        for state in ("waiting", "dialing", "open"):
            if audit.states[state]:
                self.fail(f"{audit.states[state]} contacts are {state} at the end")
        if audit.states.total() != len(NUMBERS) or rows != [(len(NUMBERS),)]:
            self.fail(f"{audit.states.total()} contacts of {len(NUMBERS)}")
        if incidents != [(0,)] and not (self.decided or self.restored):
            self.fail(f"{incidents[0][0]} incidents")
        worst = max(self.doubts, default=0)
        if worst > 8:
            self.fail(f"a kill left {worst} attempts in doubt")


async def play(folder: Path, steps: list[tuple[Any, ...]], seed: int, *, release: bool) -> Walk:
    """Walk, and return what was found."""
    settings = Settings(population=Population(changes=True))
    hooks: list[tuple[bytes, str]] = []

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        hooks.append((body, headers[SIGNATURE]))
        return 200

    async with scene(folder, clock="manual", seed=seed, settings=settings, post=post) as stage:
        webhook = await stage.client.webhooks.create(
            url="http://127.0.0.1:9/hook", events=["call.started", "call.answered", "call.completed"]
        )
        clock = SteppedClock(stage.clock)
        async with anyio.create_task_group() as group:
            walk = Walk(stage, group, release, clock, threaded=seed % 4 == 0, hooks=hooks, secret=str(webhook.secret))
            stage.wire.before = walk.judge
            for zone in ZONES:
                numbers = [number for number in NUMBERS if Walk.zone(number) == zone]
                await stage.campaign(numbers, zones=[zone], **{**walk.settings, "clock": clock})
            try:
                for step in steps:
                    await walk.step(step)
                await walk.finish()
            finally:
                with anyio.CancelScope(shield=True):
                    await walk.do_kill()
                with walk._reopened():
                    pass
                group.cancel_scope.cancel()
    return walk


_FAULTS = st.sampled_from(
    [
        ("drop_after_commit", {"match": "calls.create", "when": "every", "n": 2}),
        ("drop_before", {"match": "calls.create", "when": "every", "n": 3}),
        ("commit_late", {"match": "calls.create", "when": "every", "n": 2, "seconds": 30}),
        ("commit_late", {"match": "calls.create", "when": "every", "n": 3, "seconds": 600}),
        ("status_after_commit", {"match": "calls.create", "when": "every", "n": 2}),
        ("status", {"match": "calls.create", "when": "every", "n": 3, "status": 503}),
        ("status", {"match": "calls.create", "when": "times", "n": 2, "status": 429, "retry_after": 0}),
        ("status", {"match": "calls.create", "when": "times", "n": 1, "status": 409}),
        ("malformed", {"match": "calls.create", "when": "every", "n": 4}),
        ("truncate", {"match": "calls.create", "when": "every", "n": 4}),
        ("list_lag", {"match": "calls.list", "seconds": 5}),
        ("list_lag", {"match": "calls.list", "seconds": 600}),
        ("outage", {"match": "calls.list", "seconds": 60, "status": 503}),
        ("outage", {"match": "calls.*", "seconds": 600, "status": 503}),
        ("outage", {"match": "calls.retrieve", "seconds": 300, "status": 500}),
        ("drop_after_commit", {"match": "calls.list", "when": "every", "n": 2}),
    ]
)
_SECONDS = st.sampled_from([0.5, 2.0, 12.0, 70.0, 700.0, 4000.0, 8 * 3600.0, DAY])
_REMOTE = st.booleans()
#: Steps that every walk may have.
CALM = [
    st.tuples(st.just("advance"), _SECONDS),
    st.tuples(st.just("advance"), _SECONDS),
    st.tuples(st.just("start")),
    st.tuples(st.just("kill")),
    st.tuples(st.just("crash"), st.integers(1, 400), _SECONDS),
    st.tuples(st.just("crash"), st.integers(30, 150), st.just(0.5)),
    st.tuples(st.just("pause"), _REMOTE),
    st.tuples(st.just("resume"), _REMOTE),
    st.tuples(st.just("dnc"), st.integers(0, len(NUMBERS) - 1), _REMOTE),
    _FAULTS.map(lambda fault: ("fault", *fault)),
    st.tuples(st.just("calm")),
    st.tuples(st.just("webhooks"), st.lists(st.integers(0, 60), min_size=1, max_size=6)),
]
#: Steps after which less can be judged.
WILD = [
    st.tuples(st.just("backup")),
    st.tuples(st.just("restore")),
    st.tuples(st.just("set_clock"), st.sampled_from([-DAY, DAY, -90.0, 3600.0])),
    st.tuples(st.just("decide"), st.booleans()),
]


def walks(kinds: list[Any], most: int = 14) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Lists of steps."""
    return st.lists(st.one_of(kinds), min_size=3, max_size=most)
