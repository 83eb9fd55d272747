"""A campaign of 300 people: ``python -m examples.campaign``. End it in the middle, with Ctrl-C or kill -9, and run it again.

Everything is in the folder campaign-example: the sandbox, the ledger and the report. Delete it to begin anew.
"""

import sys
from contextlib import aclosing, suppress
from pathlib import Path

import anyio

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.dialer import Campaign, Ledger, Retry
from ajoxi_async.sandbox import Population, Settings

PEOPLE = [f"+1212555{number:04d}" for number in range(300)]
FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "campaign-example")


async def main() -> None:
    """Load the people, dial them, and count how often their phones rang."""
    settings = Settings(population=Population(changes=True))  # who did not answer may answer the next time
    async with (
        Sandbox(db=FOLDER / "sandbox.db", settings=settings) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
        Ledger(FOLDER / "ledger.db") as ledger,
    ):
        retry = {"busy": Retry("2s"), "no_answer": Retry("4s")}
        campaign = await Campaign.open(ledger, client, "autumn", from_="+14155550100", attempts=3, retry=retry)
        print(await campaign.load(PEOPLE))
        async with aclosing(campaign.run(until_settled=10)) as steps:
            async for progress in steps:
                print(progress.line())
        for doubt in await campaign.unknown():
            print(f"in doubt: {doubt.number}, {doubt.reference}")
        await (await campaign.report()).save(FOLDER / "report.csv", FOLDER / "report.html")
        attempts = (await campaign.progress()).attempts
        print(f"{attempts} attempts, and phones rang {len(sandbox.world().rings())} times")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with suppress(KeyboardInterrupt):
        anyio.run(main)
