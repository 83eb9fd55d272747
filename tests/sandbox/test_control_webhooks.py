"""The control surface's list of webhooks: what became of the deliveries of each."""

from __future__ import annotations

import pytest

from ajoxi_async import AsyncAjoxi

from .test_control import surface


@pytest.mark.asyncio
async def test_webhooks_with_their_counts() -> None:
    """Each webhook has its deliveries by state, its attempts, and until when its old secret signs; never a secret."""
    async with surface() as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            failing = await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
            receiver = (await ask("POST", "receivers", {"answer": 204}))[1]
            working = await client.webhooks.create(url=receiver["url"], events=["message.received"])
        sandbox.world().inbound_message(from_="+12125550123", body="one")
        await sandbox.advance(1)
        status, found = await ask("GET", "webhooks")
        assert (status, found["total"], [one["id"] for one in found["data"]]) == (200, 2, [working.id, failing.id])
        good, bad = found["data"]
        assert good["deliveries"] == {"pending": 0, "failing": 0, "delivered": 1, "dead": 0, "dropped": 0}
        assert (good["attempts"], bad["attempts"]) == ({"made": 1, "succeeded": 1}, {"made": 1, "succeeded": 0})
        assert bad["deliveries"] == {"pending": 1, "failing": 1, "delivered": 0, "dead": 0, "dropped": 0}
        assert bad["old_secret_until"] is None
        await sandbox.advance(24 * 3600)
        sandbox.world().rotate_secret(failing.id)
        _, bad = await ask("GET", f"webhooks/{failing.id}")
        assert bad["deliveries"]["dead"] == 1
        assert bad["old_secret_until"] == "2026-01-03T00:00:01.000Z"
        assert "whsec_" not in str(bad)
        assert (await ask("GET", "webhooks?at=1&limit=1"))[1]["data"] == [bad]
        assert (await ask("GET", "webhooks/wh_0"))[0] == 404
