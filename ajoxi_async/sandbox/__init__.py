"""An embedded, stateful simulator of the whole API, which needs no carrier and no network, and lets no real phone ring.

    async with Sandbox() as sandbox:
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)

The packages and modules, from the bottom up:

- `time`: clocks, and timers, which are actions to be done at a moment.
- `outcomes`: how calls and messages end, and the magic numbers.
- `conversation`: what is said in a call: its transcript, recording and audio.
- `faults`: errors that tests inject on purpose.
- `state`: the state of one account, with a file for the commands of each resource.
- `delivery`: posting webhook deliveries.
- `feed`: subscriptions to the changes of a world.
- `marks`: snapshots of a world, and the marks that it makes by itself before each jump in time.
- `world`, `worlds`: a world has the state, time, faults and deliveries of one key; `worlds` has the keys and their worlds.
- `storage`: the file that keeps worlds between runs.
- `server`: answers requests, over HTTP or in memory, and has the control surface.
- `console`: a web page that shows a sandbox and acts on it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.zones import zone_of
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.protocol.errors import ConfigurationError, InvalidParameterError
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.runtime.whole import whole
from ajoxi_async.sandbox.delivery.post import Answer, HttpPost, Post
from ajoxi_async.sandbox.faults.faults import Fault, Faults
from ajoxi_async.sandbox.faults.stream_faults import StreamFault
from ajoxi_async.sandbox.feed.changes import Changes
from ajoxi_async.sandbox.feed.subscription import ChangeSubscription
from ajoxi_async.sandbox.keys import KeyReport, mode_of
from ajoxi_async.sandbox.marks import Snapshot
from ajoxi_async.sandbox.outcomes.population import Population
from ajoxi_async.sandbox.outcomes.settings import Settings
from ajoxi_async.sandbox.outcomes.timing import Timing
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.addresses import checked_public_url, listening_url, reaches_loopback
from ajoxi_async.sandbox.server.app import App
from ajoxi_async.sandbox.server.memory import MemoryTransport
from ajoxi_async.sandbox.server.request_log import LoggedRequest, RequestLog
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.campaign_records import CampaignReport
from ajoxi_async.sandbox.state.numbers import FIRST_NUMBER
from ajoxi_async.sandbox.state.rings import Ring
from ajoxi_async.sandbox.state.webhook_records import Attempt, Delivery, DeliveryReport
from ajoxi_async.sandbox.time.auto import AutoClock
from ajoxi_async.sandbox.time.clock import AdvanceOptions, AdvanceStoppedError, Clock, NeverHappenedError
from ajoxi_async.sandbox.time.jumps import AdvanceProgress, Jump
from ajoxi_async.sandbox.time.live import LiveClock
from ajoxi_async.sandbox.time.modes import clock_of
from ajoxi_async.sandbox.time.real import RealClock
from ajoxi_async.sandbox.time.timers import Due, Fired
from ajoxi_async.sandbox.time.virtual import VirtualClock
from ajoxi_async.sandbox.world import World
from ajoxi_async.sandbox.worlds import MAX_WORLDS, Worlds

if TYPE_CHECKING:
    from ajoxi_async.sandbox.console.console import Console
    from ajoxi_async.sandbox.server.control.surface import Control
    from ajoxi_async.sandbox.storage.journal import Journal

__all__ = [
    "AdvanceProgress",
    "AdvanceStoppedError",
    "Answer",
    "Attempt",
    "AutoClock",
    "CampaignReport",
    "ChangeSubscription",
    "Changes",
    "Delivery",
    "DeliveryReport",
    "Due",
    "Fault",
    "Faults",
    "Fired",
    "Jump",
    "KeyReport",
    "LiveClock",
    "LoggedRequest",
    "NeverHappenedError",
    "Population",
    "RealClock",
    "Refusal",
    "RequestLog",
    "Ring",
    "Sandbox",
    "Settings",
    "Snapshot",
    "StreamFault",
    "Timing",
    "VirtualClock",
    "World",
    "zone_of",
]

#: How many events the console can show of each world.
EVENTS = 2_000


class Sandbox:
    """A simulator that runs within its ``async with`` block. Another task of the same event loop may leave the block.

    Each key has a `World` of its own. The methods of the sandbox act on the world of its own key, `api_key`.

    Args:
        host: the address to listen on. The default, loopback, makes the sandbox reachable from this machine only.
        port: the port to listen on, 0 for a free one. With ``None`` it has no socket, which works on trio as well (see
            `transport`).
        seed: the same seed and the same commands give the same ids, cursors and bodies.
        rate_limit: requests per second for each key (API reference: Rate limits); ``None`` for an Enterprise account.
        strict_keys: accept minted keys only, instead of any well-formed one.
        max_worlds: how many worlds of keys that were not minted are kept. To make room for a new one, the idle world that was
            used longest ago is dropped with everything in it. Worlds of minted keys, and those that `world` returned, are kept.
        timing: how long calls ring and last, how long messages take, and so on.
        settings: the settings of all worlds: people, lines and agents. `World.configure` changes them for one world.
        clock: ``"real"``, ``"speed=N"``, ``"live"``, ``"live=N"``, ``"manual"`` or ``"auto"``, which gives each world a clock
            of its own; or a clock that all worlds share.
        allow_remote_webhooks: deliver webhooks to other machines as well.
        post: the function that posts webhook deliveries, for tests that use no network.
        write_timeout: seconds after which a reader of a live transcript that reads nothing is disconnected.
        control_token: the token of the control surface under ``/_ajoxi/``; random unless given.
        marks: how many of the snapshots that are made before each jump in time are kept; 0 for none.
        public_url: the address under which others reach the sandbox, for the URLs of media; unless given, answers use the
            address to which their request was sent.
        console: whether the sandbox has a console, a web page that shows it: see `console_url`.
        ledger: the file of a ledger of the dialer, which the console shows and does not change.
        db: a file that keeps the worlds from one run to the next, even if the process is killed; memory unless given.

    Attributes:
        api_key: the sandbox's own test key.
        control_token: see above.

    Raises:
        InvalidParameterError: there is no such clock, `public_url` is not a URL, or another argument is not valid.
        ConfigurationError: the sandbox is entered while it is open.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        seed: int = 0,
        rate_limit: int | None = 100,
        strict_keys: bool = False,
        max_worlds: int = MAX_WORLDS,
        timing: Timing | None = None,
        settings: Settings | None = None,
        clock: Clock | str = "real",
        allow_remote_webhooks: bool = False,
        post: Post | None = None,
        write_timeout: float = 30.0,
        control_token: str | None = None,
        marks: int = 10,
        public_url: str | None = None,
        console: bool = False,
        ledger: str | PathLike[str] | None = None,
        db: str | PathLike[str] | None = None,
    ) -> None:
        if type(marks) is not int or marks < 0:
            raise InvalidParameterError("marks", f"expected 0 or more, got {marks!r}")
        if rate_limit is not None and (type(rate_limit) is not int or rate_limit < 1):
            raise InvalidParameterError("rate_limit", f"expected 1 or more, or None for no limit, got {rate_limit!r}")
        for name, given, kind in (("timing", timing, Timing), ("settings", settings, Settings)):
            if given is not None and not isinstance(given, kind):
                raise InvalidParameterError(name, f"expected {kind.__name__}(...), got {type(given).__name__}")
        if not isinstance(clock, str) and not hasattr(clock, "wait_until"):
            raise InvalidParameterError("clock", f"expected the name of a mode or a clock, got {type(clock).__name__}")
        if console and (port is None or not reaches_loopback(host)):
            raise InvalidParameterError("console", "expected a socket that listens on loopback, or on every address")
        if ledger is not None and not console:
            raise InvalidParameterError("ledger", "expected console=True with it, since the console shows it")
        self._console_wanted = console
        self._ledger = ledger
        self._console: Console | None = None
        self._write_timeout = write_timeout
        self._marks_kept = marks
        self._host, self._port = host, port
        self._timing, self._settings = timing or Timing(), settings or Settings()
        self._http = HttpPost(remote=allow_remote_webhooks)
        self._post: Post = post or self._http
        self._new_clock: Callable[[], Clock] = partial(clock_of, clock) if isinstance(clock, str) else lambda: clock
        self.control_token: str = control_token or secrets.token_urlsafe(24)
        self._db = db
        self._journal: Journal | None = None
        self._hosting: TaskHost | None = None
        self._opened: AsyncExitStack | None = None
        # The same object as `_hosting`, set only while worlds can run.
        self._tasks: TaskHost | None = None
        if type(max_worlds) is not int or max_worlds < 1:
            raise InvalidParameterError("max_worlds", f"expected 1 or more, got {max_worlds!r}")
        self._worlds = Worlds(seed, rate_limit, strict_keys, self._new_world, max_worlds)
        self._app = App(self._worlds, public_url=checked_public_url(public_url) if public_url is not None else None)
        self.api_key: str = self.mint_key()
        self._worlds.own_key = self.api_key
        self.world()

    # Lifetime

    @property
    def base_url(self) -> str:
        """The address under which this machine reaches the sandbox; without a socket, a name that does not resolve."""
        return self._app.base_url

    @property
    def listens(self) -> bool:
        """Whether it has a socket."""
        return self._port is not None

    async def __aenter__(self) -> Self:
        if self._hosting is not None and not self._hosting.ended:
            raise ConfigurationError("sandbox: it is open already; share the object, or make another `Sandbox`")
        await self._close()
        self._hosting = hosting = TaskHost()
        async with AsyncExitStack() as stack:
            stack.callback(self._forget)
            stack.push_async_callback(lambda: whole(self._http.aclose()))
            if self._db is not None:
                await self._open_journal(stack)
            if self._port is not None:
                await self._listen(stack, self._port)
            stack.push_async_callback(hosting.aclose, cancel=True)
            await hosting.open()
            self._tasks = hosting
            stack.callback(self._pause)
            for world in self._worlds.by_key.values():
                self._run(world)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The caller's exception is not passed on, since it would be raised again wrapped in an exception group.
        await self._close()

    async def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if self._hosting is None or not self._hosting.ended:
            await whole(opened.aclose())
            return
        # Its event loop has ended: there is nothing to wait for, and what belonged to the loop cannot be closed.
        self._pause()
        self._forget()
        self._http.forget()
        journal, self._journal, self._worlds.save = self._journal, None, None
        if journal is not None:
            journal.close()

    def _forget(self) -> None:
        self._hosting = None

    async def _open_journal(self, stack: AsyncExitStack) -> None:
        from ajoxi_async.sandbox.storage.journal import Journal

        journal = Journal(self._db or "", self._worlds)
        await journal.open()
        self._journal, self._worlds.save = journal, journal.save

        async def close() -> None:
            if self._journal is not None:
                self._journal = self._worlds.save = None
                await journal.aclose()

        stack.push_async_callback(lambda: whole(close()))

    async def _listen(self, stack: AsyncExitStack, port: int) -> None:
        from ajoxi_async.sandbox.server.control.ledger import LedgerFile
        from ajoxi_async.sandbox.server.control.surface import Control
        from ajoxi_async.sandbox.server.http import Server

        control = Control(self._worlds, self.api_key, self.control_token, self.requests)
        if self._ledger is not None:
            control.ledger = LedgerFile(self._ledger)
        control.base_url = lambda: self._app.base_url
        console = await self._open_console(control) if self._console_wanted else None
        server = Server(self._app, control, self._write_timeout, console)
        stack.push_async_callback(lambda: whole(server.stop()))
        port = await server.start(self._host, port)
        self._app.base_url = listening_url(self._host, port)
        if console is not None:
            console.sessions.use_port(port)
            self._console = console

    async def _open_console(self, control: Control) -> Console:
        from ajoxi_async.sandbox.console.console import Console

        console = Console(self._app, control)
        control.signed_in = console.sessions.signed_in
        await console.load()
        return console

    @property
    def console_url(self) -> str:
        """A new link that opens the console in a browser. It works once and for five minutes.

        Raises:
            ConfigurationError: the sandbox has no console, or is not open.
        """
        if self._console is None or self._hosting is None:
            raise ConfigurationError("console_url: expected an open sandbox that was made with console=True")
        return f"{self.base_url}{self._console.new_link()}"

    def _pause(self) -> None:
        self._tasks = None
        for world in self._worlds.by_key.values():
            world.running = False
            world.feed.end()

    def transport(self) -> MemoryTransport:
        """A `Transport` that reaches this sandbox without a socket: ``AsyncAjoxi(key, transport=...)``."""
        return MemoryTransport(self._app)

    def _new_world(self, key: str) -> World:
        clock = self._new_clock()
        new_account = partial(self._new_account, key, clock.now())
        world = World(
            key, new_account, clock, self._post, self._start, self._worlds.rate_limit, self._save, self._marks_kept
        )
        world.on_watched = self._watched
        if self._console_wanted:
            world.keep_events(EVENTS)
        if self._journal is not None:
            self._journal.watch(world)
        if self._tasks is not None:
            self._run(world)
        return world

    def _watched(self, world: World) -> None:
        """Mark changed requests and keys in the feeds of all worlds that have subscribers."""
        watched = self._worlds.watched
        watched.pop(world.key, None)
        if world.feed.watched:
            watched[world.key] = world
        # The callback runs with each request. Usually one world at most is followed, so that its feed is called directly.
        feeds = [one.feed.mark for one in watched.values()]
        mark = self._worlds.mark if len(feeds) > 1 else feeds[0] if feeds else None
        self._app.requests.changed = partial(mark, "request") if mark is not None else None

    async def _save(self) -> None:
        if self._journal is not None:
            await self._journal.save()

    def _new_account(self, key: str, created_at: float) -> Account:
        seed, mode = self._worlds.seed, mode_of(key)
        return Account(seed, mode, key, self._timing, self._media_url(), created_at, Faults(seed), self._settings)

    def _media_url(self) -> str:
        return f"{self._app.public_url or self._app.base_url}/media"

    def _run(self, world: World) -> None:
        # A world that was made before the sandbox listened does not have the address yet.
        world.account.media_url = self._media_url()
        world.running = True
        self._start(world.run)

    def _start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(task)

    # Keys and worlds

    def mint_key(self, mode: Mode = "test", *, deny: frozenset[str] | set[str] = frozenset(), label: str = "") -> str:
        """Make a key with a world of its own.

        Args:
            mode: ``"test"`` or ``"live"``. In the sandbox neither lets a real phone ring.
            deny: names of routes that answer 403 to this key, such as ``numbers.provision``.
            label: a text for people, up to 100 characters, which `keys` shows.

        Raises:
            InvalidParameterError: there is no such mode, `deny` names a route that does not exist, or `label` is too long or
                has control characters.
        """
        return self._worlds.mint(mode, deny, label)

    def keys(self) -> tuple[KeyReport, ...]:
        """The keys that are accepted, in the order in which they were minted or first used. Makes no world."""
        return tuple(key.report() for key in self._worlds.listed())

    def delete_key(self, key: str) -> None:
        """Refuse a key from now on, with 401, and drop its world; its live transcripts end.

        Args:
            key: its id, or the key itself.

        Raises:
            Refusal: there is no such key, or it is the sandbox's own.
        """
        self._worlds.delete(key)

    def world(self, key: str | None = None) -> World:
        """The world of a key, or the sandbox's own. It is made if it does not exist yet.

        Args:
            key: the key, or the id of one that is known.

        Raises:
            Refusal: the key was deleted, or no key has this id.
        """
        return self._worlds.of(self._worlds.named(key or self.api_key), keep=True)

    def worlds(self) -> tuple[World, ...]:
        """The worlds that exist. Makes none."""
        return tuple(self._worlds.by_key.values())

    @property
    def clock(self) -> Clock:
        """The clock of the sandbox's own world."""
        return self.world().clock

    @property
    def faults(self) -> Faults:
        """The injected faults of the sandbox's own world."""
        return self.world().faults

    async def advance(self, seconds: float | None = None, **goal: Unpack[AdvanceOptions]) -> list[Fired]:
        """See `VirtualClock.advance`."""
        return await self.world().advance(seconds, **goal)

    async def advance_to_next(self) -> list[Fired]:
        """See `World.advance_to_next`."""
        return await self.world().advance_to_next()

    def stop_advance(self) -> bool:
        """See `World.stop_advance`."""
        return self.world().stop_advance()

    def pause(self) -> None:
        """See `World.pause`."""
        self.world().pause()

    def resume(self, *, speed: float | None = None) -> None:
        """See `World.resume`."""
        self.world().resume(speed=speed)

    def due(self, start: int = 0, amount: int = 50) -> tuple[Due, ...]:
        """See `World.due`."""
        return self.world().due(start, amount)

    def jumps(self) -> tuple[Jump, ...]:
        """See `World.jumps`."""
        return self.world().jumps()

    def marks(self) -> tuple[Snapshot, ...]:
        """See `World.marks`."""
        return self.world().marks()

    def rewind(self, mark: Snapshot | str) -> None:
        """See `World.rewind`."""
        self.world().rewind(mark)

    def snapshot(self, label: str = "") -> Snapshot:
        """See `World.snapshot`."""
        return self.world().snapshot(label)

    def restore(self, snapshot: Snapshot) -> None:
        """See `World.restore`."""
        self.world().restore(snapshot)

    def reset(self) -> None:
        """See `World.reset`."""
        self.world().reset()

    def seed_calls(self, amount: int, *, key: str | None = None) -> None:
        """See `World.seed_calls`."""
        self.world(key).seed_calls(amount)

    def inbound_call(self, *, from_: str, to: str = FIRST_NUMBER, key: str | None = None) -> Call:
        """See `World.inbound_call`."""
        return self.world(key).inbound_call(from_=from_, to=to)

    def inbound_message(self, *, from_: str, body: str, to: str = FIRST_NUMBER, key: str | None = None) -> Message:
        """See `World.inbound_message`."""
        return self.world(key).inbound_message(from_=from_, body=body, to=to)

    def changes(self, kinds: Collection[str] | None = None, *, every: float = 0.05) -> ChangeSubscription:
        """See `World.changes`. Keys and requests are those of the whole sandbox."""
        return self.world().changes(kinds, every=every)

    @property
    def requests(self) -> RequestLog:
        """The last 2,000 requests of all keys with their answers: ``requests.find(route="calls.create", status=429)``."""
        return self._app.requests

    def disturb_streams(self, *faults: StreamFault | None) -> None:
        """Apply faults to the next connections of live transcripts, one each; ``None`` leaves a connection undisturbed."""
        self._app.stream_faults.extend(fault or StreamFault() for fault in faults)

    def dead_letters(self, *, key: str | None = None) -> tuple[Delivery, ...]:
        """See `World.dead_letters`."""
        return self.world(key).dead_letters()
