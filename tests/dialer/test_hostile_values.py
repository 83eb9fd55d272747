"""Values that no campaign can have, and texts that no database takes: what a caller gives, and what is told about it."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer import Campaign, Ledger, LedgerError, Retry, Stop, Windows, from_csv
from ajoxi_async.dialer import settings as settings_of

from .worlds import FROM, Where

pytestmark = pytest.mark.anyio
HUGE = 10**5000
#: What a command line makes of a byte that is no UTF-8, and a character that PostgreSQL does not store.
ODD = "caf\udce9\0"


@pytest.mark.parametrize("param", sorted(settings_of.fields_dict(settings_of.Settings).keys() - {"caps", "from_"}))
@pytest.mark.parametrize(
    "value",
    [float("nan"), HUGE, -1, 10**9, Decimal(5), b"x", [[]], object(), {"busy": 5}],
    ids=["nan", "huge", "negative", "large", "Decimal", "bytes", "list", "object", "dict"],
)
def test_a_setting_that_cannot_be_right_is_named(param: str, value: Any) -> None:
    """Every setting refuses what it cannot be with its own name, whatever the value is, before anything is kept."""
    with pytest.raises(InvalidParameterError) as caught:
        settings_of.changed(settings_of.Settings(from_=FROM), {param: value})
    assert caught.value.param.partition("[")[0] == param


@pytest.mark.parametrize(
    "value", [5, HUGE, b"+14155550100", [5], [[FROM]], object(), "+1415555010", [FROM, FROM]], ids=type
)
def test_numbers_to_call_from_are_checked(value: Any) -> None:
    """What is no list of numbers, and a number that is a digit short, is refused."""
    with pytest.raises(InvalidParameterError) as caught:
        settings_of.changed(settings_of.Settings(), {"from_": value})
    assert caught.value.param == "from_"


@pytest.mark.parametrize(
    "options",
    [
        {"week": (((540, 480),),) * 7},
        {"week": (("x",),) * 7},
        {"known_until": "soon"},
        {"known_until": datetime(2026, 1, 1)},  # noqa: DTZ001 - no date
        {"ring_least": "15"},
        {"ring_least": float("nan")},
        {"ring_least": HUGE},
        {"closed": [HUGE]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_windows_are_checked(options: dict[str, Any]) -> None:
    """Hours that cannot be right are refused when they are made."""
    with pytest.raises(InvalidParameterError):
        Windows(**{"week": "9-17", **options})
    assert Windows("9-17", known_until="2026-12-31").known_until == date(2026, 12, 31)


@pytest.mark.parametrize("make", [lambda: Retry(HUGE), lambda: Stop(spend=HUGE), lambda: Stop(unknown=HUGE)])
def test_values_that_cannot_be_shown(make: Any) -> None:
    """A number of thousands of digits is refused as any other."""
    with pytest.raises(InvalidParameterError):
        make()


async def test_a_gap_is_kept_in_seconds(where: Where) -> None:
    """`min_gap` as `timedelta` or text is the same setting, and opening the campaign again with the other changes nothing."""
    async with Ledger(where) as ledger:
        first = await Campaign.open(ledger, None, "autumn", from_=FROM, min_gap=timedelta(hours=8))
        again = await Campaign.open(ledger, None, "autumn", min_gap="8h")
        assert first.settings.min_gap == again.settings.min_gap == first.settings.caps.min_gap == 28_800
        assert await ledger.read(lambda db: db.execute("SELECT what FROM journal")) == [("create",)]


async def test_reasons_are_kept_whatever_their_characters(where: Where) -> None:
    """A pause, a stop and a do-not-call entry hold though no database takes their reason as it is: it is kept with escapes."""
    async with Ledger(where) as ledger:
        campaign = await Campaign.open(ledger, None, "autumn", from_=FROM)
        await campaign.do_not_call("+12126000001", reason=ODD)
        await campaign.pause(ODD)
        assert (await campaign.progress()).reason == "caf\\udce9\\x00"
        await campaign.stop(ODD)
        assert (await campaign.progress()).state == "stopped"
        assert await ledger.read(lambda db: db.execute("SELECT source FROM dnc")) == [("caf\\udce9\\x00",)]


async def test_a_command_with_an_odd_reason_does_not_block_the_inbox(where: Where) -> None:
    """A command that waits in the inbox for an owner is carried out, whatever the characters of its reason."""
    async with Ledger(where) as ledger, Ledger(where) as other:
        campaign = await Campaign.open(ledger, None, "autumn", from_=FROM)
        async with ledger.owning("autumn"):
            elsewhere = await Campaign.open(other, None, "autumn")
            other.database.__class__.lease = 0.0  # nobody is there to carry it out
            await elsewhere.pause(ODD)
        await campaign.resume()
        assert (await campaign.progress()).state == "active"


async def test_files_of_any_name_are_loaded(where: Where, tmp_path: Path) -> None:
    """A file whose name is no UTF-8 is loaded, and its do-not-call file is kept as the source."""
    path, listed = (os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/caf\xe9.csv", b"/d\xe9.txt"))
    with open(path, "w") as file, open(listed, "w") as dnc:
        file.write("phone\n+12126000001\n+12126000002\n")
        dnc.write("+12126000002\n")
    async with Ledger(where) as ledger:
        campaign = await Campaign.open(ledger, None, "autumn", from_=FROM)
        loaded = await campaign.load(from_csv(path), do_not_call=listed)
        assert (loaded.imported, loaded.do_not_call) == (1, 1)
        rows = [row async for row in (await campaign.report()).rows()]
        assert rows[0].source.endswith("caf\\udce9.csv")
        await campaign.load(["+12126000003"], name=ODD)


async def test_rows_with_values_that_no_row_can_have(where: Where) -> None:
    """Rows of a program with absurd values are refused with a reason, each counted, whatever the values are."""
    rows = [
        HUGE,
        {"phone": HUGE},
        {"phone": "+12126000001", "key": HUGE},
        {"phone": "+12126000001", "n": HUGE},
        {"phone": "+12126000001", "zone": HUGE},
        {"phone": "+12126000001", "expires": HUGE},
        [],
    ]
    async with Ledger(where) as ledger:
        campaign = await Campaign.open(ledger, None, "autumn", from_=FROM)
        loaded = await campaign.load(rows)
        assert (loaded.rows, loaded.refused) == (len(rows), len(rows))
        assert (await (await campaign.report()).summary()).adds_up


@pytest.mark.parametrize("given", [None, 5, b"+12126000001", {"a": 1}], ids=lambda value: type(value).__name__)
async def test_a_do_not_call_list_is_checked_by_its_name(where: Where, given: Any) -> None:
    """What is no do-not-call list is refused as such, and not as rows."""
    async with Ledger(where) as ledger:
        campaign = await Campaign.open(ledger, None, "autumn", from_=FROM)
        with pytest.raises(InvalidParameterError) as caught:
            await campaign.load(["+12126000001"], do_not_call=given)
        assert caught.value.param == "do_not_call"
        for doubt in ([], {}, HUGE, None):
            with pytest.raises(InvalidParameterError) as caught:
                await campaign.release(doubt)  # type: ignore[arg-type]
            assert caught.value.param == "doubts"


async def test_settings_of_another_form_are_an_error_of_the_ledger(where: Where) -> None:
    """Settings that nobody of us has written are refused as a ledger that cannot be read."""
    async with Ledger(where) as ledger:
        await Campaign.open(ledger, None, "autumn", from_=FROM)
        for spec in ("", "[]", "{}", '{"windows": 5}'):
            async with ledger.owning("autumn"):
                await ledger.write(lambda db, spec=spec: db.execute("UPDATE campaign SET spec = ?", (spec,)))  # type: ignore[misc]
            with pytest.raises(LedgerError):
                await Campaign.open(ledger, None, "autumn")


@pytest.mark.parametrize(
    "value", [0, -1, float("nan"), float("inf"), HUGE, "1", True], ids=["0", "-1", "nan", "inf", "huge", "text", "bool"]
)
@pytest.mark.parametrize("param", ["every", "until_settled"])
async def test_a_run_checks_its_times(tmp_path: Path, param: str, value: Any) -> None:
    """A time that cannot be right is refused before the run becomes the owner."""
    async with Ledger(tmp_path / "ledger.db") as ledger:
        campaign = await Campaign.open(ledger, None, "autumn", from_=FROM)
        if (param, value) != ("until_settled", 0):
            with pytest.raises(InvalidParameterError) as caught:
                await anext(campaign.run(**{param: value}))
            assert caught.value.param == param
