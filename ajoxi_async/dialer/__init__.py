"""A campaign dialer: nobody is called twice by it, and nobody is lost from it.

    async with AsyncAjoxi() as client, Ledger("autumn.db") as ledger:
        campaign = await Campaign.open(ledger, client, "autumn-2026", from_="+14155550100", windows=Windows.us_strict())
        await campaign.load(from_csv("contacts.csv", phone="mobile"), do_not_call="dnc.txt")
        async for progress in campaign.run():
            print(progress.line())

At most once for each attempt, and the rest by name: no phone rings twice for one attempt, whatever dies, and whoever is in doubt is
listed, looked up for a day, adopted when found, and released only by a person or by evidence.

The packages, from the bottom up:

- `rules`: states, windows, caps, retries, pacing, phone numbers; pure.
- `storage`: what is kept, and how; the ledger for asynchronous code, with one commit for many changes.
- `loading`, `reporting`: from rows to contacts, and from contacts to reports.
- `dialing`: the tasks of a run.
- `campaign`: the public face.
"""

from __future__ import annotations

from ajoxi_async.dialer.campaign import Campaign, Doubt
from ajoxi_async.dialer.loading.load import LoadReport
from ajoxi_async.dialer.loading.rows import from_csv
from ajoxi_async.dialer.reporting.progress import Progress, Waiting
from ajoxi_async.dialer.rules.retries import Retry
from ajoxi_async.dialer.rules.stop import Stop
from ajoxi_async.dialer.rules.windows import Windows
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.protocol.errors import CampaignHaltedError, LedgerError, LedgerOwnedError, LedgerUnreachableError

__all__ = [
    "Campaign",
    "CampaignHaltedError",
    "Doubt",
    "Ledger",
    "LedgerError",
    "LedgerOwnedError",
    "LedgerUnreachableError",
    "LoadReport",
    "Progress",
    "Retry",
    "Stop",
    "Waiting",
    "Windows",
    "from_csv",
]
