"""Several calls side by side, as they are spoken: ``python -m examples.live_dashboard`` (needs the extra ``cli``).

Everything runs on the embedded sandbox, which ends some connections early. A call whose connection is lost shows
"reconnecting" until it is back, and no word is lost. To use the API, leave the sandbox out.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import anyio
from rich.columns import Columns
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from ajoxi_async import AsyncAjoxi, LiveTranscript, Sandbox
from ajoxi_async.sandbox import StreamFault, Timing

CALLS = 3
LINES = 12
WIDTH, HEIGHT = 60, LINES + 8
COLOURS = {"customer": "cyan", "ai": "magenta", "agent": "green"}
BADGES = {
    "live": ("live", "green"),
    "resuming": ("reconnecting", "bold red"),
    "stalled": ("stalled", "yellow"),
    "ended": ("ended", "dim"),
}


def plain(text: object) -> str:
    """Text from outside without the control characters on which a terminal would act."""
    return "".join(one if one.isprintable() else " " for one in str(text))


class Pane:
    """One call on the screen. Everything is a `Text`, so that markup in text from outside is only shown."""

    def __init__(self, console: Console, call_id: str) -> None:
        self._console = console
        self.call_id = call_id
        self.live: LiveTranscript | None = None
        self.badge = ("connecting", "")

    def on_state(self, state: str) -> None:
        """Change the shown state; without a screen print a line."""
        self.badge = BADGES[state]
        if not self._console.is_terminal:
            self._console.print(Text.assemble(f"{plain(self.call_id)}: ", self.badge))

    def __rich__(self) -> Panel:
        columns = max(1, self._console.width // WIDTH)
        room = (self._console.height - 1) // -(-CALLS // columns)
        height = max(4, min(HEIGHT, room))
        lines = LINES if height == HEIGHT else max(1, (height - 2) // 2)
        text = Text()
        if self.live is not None:
            now = self.live.snapshot()
            for segment in [*now.finals, *now.interims][-lines:]:
                style = COLOURS.get(str(segment.speaker), "white")
                text.append(f"{plain(segment.speaker)}: ", style="bold " + style)
                text.append(plain(segment.text) + "\n", style=style if segment.is_final else "dim " + style)
        again = f" - {self.live.reconnects} reconnects" if self.live is not None and self.live.reconnects else ""
        title = Text.assemble(f"{plain(self.call_id)} - ", self.badge, again)
        return Panel(text, title=title, width=min(WIDTH, self._console.width), height=height)


async def follow(client: AsyncAjoxi, pane: Pane) -> None:
    """Keep one pane up to date until its call is over."""
    async with client.transcripts.stream(pane.call_id, on_state=pane.on_state) as pane.live:
        await pane.live.until_done()


async def main() -> None:
    """Place a few calls and show them until they are over."""
    console = Console()
    async with (
        Sandbox(timing=Timing(ring=0.3, talk=4.0)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        sandbox.disturb_streams(StreamFault(cut_after_events=4), StreamFault(cut_after_bytes=700, reset=True))
        calls = [
            await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=number % 2 == 0)
            for number in range(CALLS)
        ]
        panes = [Pane(console, call.id) for call in calls]
        with Live(Columns(panes), console=console, refresh_per_second=10):
            async with anyio.create_task_group() as tasks:
                for pane in panes:
                    tasks.start_soon(follow, client, pane)


if __name__ == "__main__":
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # for what the terminal's encoding does not have
    with suppress(KeyboardInterrupt):
        anyio.run(main)
