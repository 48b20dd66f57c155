"""The report in a browser, in which nothing may go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect


@contextmanager
def opened_page(browser: Browser, address: str, **settings: Any) -> Iterator[Page]:
    """A page of its own, with a clipboard; in the end it has said nothing on its console."""
    context = browser.new_context(**settings)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(20_000)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    expect(page.locator(".card").first).to_be_visible()
    yield page
    assert troubles == []
    context.close()
