"""Models and pages in rich and in notebooks: what the repr shows, masked and escaped."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from ajoxi_async import Call, CallCompleted, CallStatus, Page, RawResponse, Segment, Speaker, Transcript, Webhook
from ajoxi_async.cli.keys.choice import Key
from ajoxi_async.cli.keys.profiles import Profile
from ajoxi_async.contract.calls import CallCreate
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.webhooks import SignedEvent

CALL = Call(
    id="call_1",
    status=CallStatus.COMPLETED,
    from_="+14155550100",
    to="+14155551234",
    created_at=datetime(2026, 11, 26, 9, 30, tzinfo=UTC),
    metadata={"client_secret": "hunter2", "back": "+14155559999", "<b>": "x"},
    extra={"later": "+14155558888"},
)


def printed(value: object) -> str:
    """What rich prints."""
    out = io.StringIO()
    Console(file=out, width=300, no_color=True).print(value)
    return out.getvalue()


@pytest.mark.parametrize("value", [CALL, Page((CALL, CALL), "a", True), CallCompleted(id="evt_1", type="x", data=CALL)])
def test_neither_shows_a_number(value: Call | Page[Call]) -> None:
    """Whole phone numbers, secrets and unknown fields are in neither, and the rest is."""
    for text in (printed(value), value._repr_html_()):
        assert not re.search(r"\d{9}", text)
        assert "hunter2" not in text
        assert "call_1" in text
        assert "+1415***34" in text


def test_rich_is_the_repr() -> None:
    """Rich prints the fields that the repr prints, and nothing that is not set."""
    flat = re.sub(r",?\s*\n\s*", ", ", printed(CALL)).replace("(, ", "(").replace(", )", ")").rstrip(", ")
    assert flat == repr(CALL)
    assert printed(Webhook(id="wh_1", secret="whsec_abc")) == "Webhook(id='wh_1', secret='***')\n"
    nested = Transcript(id="tr_1", segments=(Segment(sequence=1, speaker=Speaker.AI, text="call +14155551234"),))
    assert "text='call +1415***34'" in printed(nested)


def test_rich_shows_no_more_than_the_repr_of_what_holds_secrets() -> None:
    """Rich prints fields of attrs classes past their repr, also of locals in its tracebacks: no key, body or number is among them."""
    answered = {"X-To": "+14155551234"}
    for value in (
        Request(
            "GET", "http://x.example/?to=%2B14155551234", {"Authorization": "Bearer AJX_LIVE_hidden"}, b"+14155551234"
        ),
        Response(200, answered, b"+14155551234"),
        RawResponse(CALL, 200, answered, b"+14155551234", "req_1"),
        CallCreate(to="+14155551234", from_="+14155550100", metadata={"back": "+14155551234"}),
        SignedEvent(b"+14155551234", "5551234"),
        Key("AJX_LIVE_hidden", None),
        Profile("AJX_LIVE_hidden"),
    ):
        for text in (printed(value), printed([value]), repr(value)):
            assert type(value).__name__ in text or isinstance(value, (Key, Profile))
            assert not re.search(r"5551234|hidden", text), text
    assert "Call(" in printed(RawResponse(CALL, 200, answered, b"", "req_1"))


def test_html_is_escaped() -> None:
    """Text from outside is text: tags, quotes and marks that turn the direction of writing."""
    said = Segment(sequence=1, text="<script>alert(1)</script>\u202e" + "x" * 500)
    html = Transcript(id="tr_1", segments=(said,))._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert "\u202e" not in html
    assert "x" * 300 not in html
    assert "<b>" not in CALL._repr_html_()
    assert "***" in Webhook(id="wh_1", secret="whsec_abc")._repr_html_()


def test_html_of_a_page() -> None:
    """A row for each item, a column for each field that one of them has, and whether there is more."""
    html = Page((CALL, Call(id="call_2", duration=7)), "a", True)._repr_html_()
    assert html.count("<tr>") == 3
    assert "<th" in html
    assert "duration" in html
    assert "2 items, more on the next page" in html
    assert Page[Call]((), None, False)._repr_html_().count("<tr>") == 1
    many = Page(tuple(Call(id=f"call_{number}") for number in range(300)), None, False)._repr_html_()
    assert many.count("<tr>") == 201
    assert "the first 200 are shown" in many
