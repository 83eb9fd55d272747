"""A worker of `partition_rounds`: a process that runs one campaign from a ledger in PostgreSQL, or stands by."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time

import anyio
from attrs import frozen

from ajoxi_async import AsyncAjoxi
from ajoxi_async.dialer.campaign import Campaign
from ajoxi_async.dialer.dialing import running, sweep
from ajoxi_async.dialer.storage import postgres_owner
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.postgres import PostgresDatabase

CAMPAIGN = "rounds"
FROM = "+14155550100"
#: Seconds. Short, so that a round takes a few seconds, but longer than a busy machine may keep a thread waiting.
LEASE, REQUEST_TIMEOUT, SKEW = 1.0, 1.0, 0.2


@frozen
class Job:
    """What a worker is started with."""

    ledger_url: str
    base_url: str
    api_key: str
    rate: float


def open_ledger(url: str) -> Ledger:
    """The ledger, with short times."""
    return Ledger(PostgresDatabase(url, lease=LEASE, request_timeout=REQUEST_TIMEOUT))


def work(job: Job) -> None:
    """Run the campaign to its end."""
    postgres_owner.SKEW = SKEW
    running.Running.first_look = 0.3  # type: ignore[assignment, method-assign]  # of calls that last for less
    sweep._COLLECT = 0.1  # type: ignore[misc]
    faulthandler.register(signal.SIGUSR1)  # says where it waits
    parent = os.getppid()

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()

    async def main() -> None:
        async with (
            AsyncAjoxi(job.api_key, base_url=job.base_url, timeout=REQUEST_TIMEOUT) as client,
            open_ledger(job.ledger_url) as ledger,
        ):
            campaign = await Campaign.open(ledger, client, CAMPAIGN, from_=[FROM], rate=job.rate, attempts=1)
            async for _ in campaign.run(every=0.2, until_settled=0.0):
                pass

    anyio.run(main)
