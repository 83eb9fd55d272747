"""The open feeds of a console."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from attrs import define, field

from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.console import interest
from ajoxi_async.sandbox.console.feed import Feed, SharedReads
from ajoxi_async.sandbox.console.sessions import Sessions
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.app import App
from ajoxi_async.sandbox.server.control.answers import REFUSED, error_answer, json_answer
from ajoxi_async.sandbox.server.control.surface import Control
from ajoxi_async.sandbox.world import World

__all__ = ["FEEDS", "Feeds"]

#: The most feeds that are open at a time. A browser needs one for each world that its pages show.
FEEDS: Final = 100


@define(eq=False, repr=False)
class Feeds:
    """The open feeds, by their ids.

    Attributes:
        app: answers views of the API.
        control: answers views of the control surface.
        sessions: the sessions that feeds belong to.
    """

    app: App
    control: Control
    sessions: Sessions
    _open: dict[str, Feed] = field(factory=dict, init=False)
    _reads: dict[World, SharedReads] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._open)

    def show(self, id: str, given: dict[str, Any]) -> None:
        """Change what the pages of a feed show.

        Raises:
            Refusal: the feed is not open.
            InvalidParameterError: this is no interest.
        """
        feed = self._open.get(id)
        if feed is None:
            raise Refusal("not_found", "this feed is not open; send the interest to the feed that the last hello named")
        feed.show(interest.parse(given))

    def end_session(self, session: bytes) -> None:
        """End the feeds of a session that has ended."""
        for feed in self._open.values():
            if feed.session == session:
                feed.end()

    async def events(self, world: World, session: bytes | None, *, packed: bool = False) -> AsyncGenerator[bytes]:
        """The events of a new feed.

        Args:
            world: the world to follow.
            session: the session that it belongs to; ``None`` if it was opened with the control token.
            packed: whether they are written in gzip's format.
        """
        reads = self._reads.setdefault(world, SharedReads(self._read))
        feed = Feed(world, reads, session, lambda: session is None or self.sessions.touch(session), packed)
        self._open[feed.id] = feed
        try:
            async with aclosing(feed.events()) as events:
                async for event in events:
                    yield event
        finally:
            del self._open[feed.id]
            # Without a feed changes are not counted, so that what was read must not be used again.
            if all(one.world is not world for one in self._open.values()):
                self._reads.pop(world, None)

    async def _read(self, url: str, world: World) -> bytes:
        """The answer to a view; the envelope of an error if it is refused."""
        if url.startswith(interest.API):
            answer = await self.app.act(world, Request("GET", f"/{url}"))
        else:
            try:
                answer = json_answer(200, await self.control.look(url, world.key))
            except REFUSED as error:
                answer = await error_answer(error)
        assert isinstance(answer, Response)
        return answer.body
