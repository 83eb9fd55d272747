"""A Django project whose views and tests are not async, with `ajoxi_server`."""

from __future__ import annotations

import sys

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from ajoxi_async import AsyncAjoxi
from ajoxi_async.testing.server import AjoxiServer


def call(request: HttpRequest, number: str) -> HttpResponse:
    async def place() -> str:
        async with AsyncAjoxi() as client:
            return (await client.calls.create(to=number, from_="+14155550100")).id

    return HttpResponse(async_to_sync(place)())


urlpatterns = [path("call/<number>", call)]


def test_a_view_that_is_not_async(ajoxi_server: AjoxiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's test client and the sandbox run in one test without an event loop of the test's own."""
    for name, value in ajoxi_server.environ.items():
        monkeypatch.setenv(name, value)
    if not settings.configured:
        settings.configure()
    # By the module itself: pytest does not import it under a name that Django could import.
    with override_settings(ROOT_URLCONF=sys.modules[__name__], ALLOWED_HOSTS=["testserver"]):
        ids = [Client().post(f"/call/{number}").content.decode() for number in ("+15005550102", "+15005550100")]
    ajoxi_server.advance(until_event="call.completed")
    rings = ajoxi_server.call(ajoxi_server.sandbox.world().rings)
    assert [ring.call_id for ring in rings] == ids
