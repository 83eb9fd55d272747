"""The ways to use a page: by mouse, by keyboard alone, and by mouse on a page of 320 pixels.

A test says what is pressed, filled in and chosen; a hand does it. The keyboard reaches a control by Tab and shortcuts only,
so that a control that cannot be reached this way, or that a shortcut misses, fails the test.
"""

from __future__ import annotations

from typing import Protocol

from playwright.async_api import Locator, Page, expect

from .opening import NARROW, WIDE

#: How many times Tab, or if it is below 0 Shift+Tab, has to be pressed until an element has the focus.
_TABS = """(wanted) => {
  const scope = document.querySelector('dialog[open]') ?? document;
  const visible = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest('[hidden], [inert]');
  const names = 'a[href], button, input, select, textarea, summary, audio[controls], [tabindex]';
  const all = [...scope.querySelectorAll(names)].filter((one) => one.tabIndex >= 0 && !one.disabled && visible(one));
  const group = (one) => (one.type === 'radio' && one.name ? one.name : one);
  const stops = all.filter((one, place) => one.type !== 'radio' || (all.find((other) => other.type === 'radio' && other.name === one.name && other.checked) ?? all.find((other) => other.name === one.name)) === one);
  const place = stops.findIndex((one) => one === wanted || group(one) === group(wanted));
  const at = stops.indexOf(document.activeElement);
  if (at >= 0) return place - at;
  const after = stops.findIndex((one) => document.activeElement.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  return place >= after ? place - after + 1 : place - after;
}"""
_HAS_FOCUS = "(wanted) => document.activeElement === wanted || (wanted.type === 'radio' && document.activeElement.name === wanted.name)"


class Hand(Protocol):
    """Uses the page of a console."""

    size: dict[str, int]
    page: Page

    async def go(self, title: str) -> None:
        """Go to a page of the side bar."""

    async def press(self, control: Locator) -> None:
        """Press a button or a link."""

    async def fill(self, field: Locator, text: str) -> None:
        """Replace the text of a field."""

    async def choose(self, field: Locator, option: str) -> None:
        """Choose an option of a field with a list."""

    async def tick(self, box: Locator) -> None:
        """Tick a box or choose a radio button."""

    async def open_newest(self, grid: Locator) -> None:
        """Open the newest row of a list."""

    async def time(self, button: str) -> None:
        """Press a button of the bar of time."""

    async def look_up(self, scroller: Locator) -> None:
        """Scroll towards the beginning."""

    async def look_down(self, scroller: Locator) -> None:
        """Scroll to the end."""


class Mouse:
    """A mouse on a wide page."""

    size = WIDE

    def __init__(self, page: Page) -> None:
        self.page = page

    async def go(self, title: str) -> None:
        await self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=title).click()

    async def press(self, control: Locator) -> None:
        await control.click()

    async def fill(self, field: Locator, text: str) -> None:
        await field.click()
        await field.fill(text)

    async def choose(self, field: Locator, option: str) -> None:
        await field.select_option(option)

    async def tick(self, box: Locator) -> None:
        await box.check()

    async def open_newest(self, grid: Locator) -> None:
        await grid.get_by_role("row").nth(1).get_by_role("link").first.click()

    async def time(self, button: str) -> None:
        await self.page.get_by_role("region", name="Time").get_by_role("button", name=button).click()

    async def look_up(self, scroller: Locator) -> None:
        await scroller.hover()
        await self.page.mouse.wheel(0, -150)

    async def look_down(self, scroller: Locator) -> None:
        await self.page.get_by_role("button", name="Paused").click()


class Narrow(Mouse):
    """A mouse, or a finger, on a page of 320 pixels, where the side bar and the controls of time are behind buttons."""

    size = NARROW

    async def go(self, title: str) -> None:
        await self.page.get_by_role("button", name="Menu").click()
        await super().go(title)

    async def time(self, button: str) -> None:
        controls = self.page.get_by_role("button", name="Time controls")
        if button not in {"Play", "Pause"} and await controls.get_attribute("aria-expanded") == "false":
            await controls.click()
        await super().time(button)


class Keyboard:
    """A keyboard, and nothing else."""

    size = WIDE
    _pages = {
        "Overview": "o", "Calls": "c", "Messages": "m", "Numbers": "n", "Campaigns": "a", "Webhooks": "w", "Deliveries": "d",
        "Requests": "r", "Events": "e", "Time": "t", "Faults": "f", "Keys": "k", "Settings": "s",
    }  # fmt: skip
    _times = {
        "Play": "p", "Pause": "p", "Next": "n", "+1 min": "t 1", "+24 h": "t 4", "Until idle": "t i", "10×": "]", "100×": "] ]", "1×": "[ [",
    }  # fmt: skip

    def __init__(self, page: Page) -> None:
        self.page = page

    async def go(self, title: str) -> None:
        await self._keys(f"g {self._pages[title]}")

    async def press(self, control: Locator) -> None:
        await self._reach(control)
        await self.page.keyboard.press("Enter")

    async def fill(self, field: Locator, text: str) -> None:
        await self._reach(field)
        await self.page.keyboard.press("ControlOrMeta+a")
        await self.page.keyboard.type(text)

    async def choose(self, field: Locator, option: str) -> None:
        await self._reach(field)
        for key in option:
            await self.page.keyboard.press(key)
        await expect(field).to_have_value(option)

    async def tick(self, box: Locator) -> None:
        await self._reach(box)
        if await box.get_attribute("type") == "radio":
            for _ in range(10):
                if await box.is_checked():
                    return
                await self.page.keyboard.press("ArrowDown")
        else:
            await self.page.keyboard.press("Space")
        assert await box.is_checked()

    async def open_newest(self, grid: Locator) -> None:
        await expect(grid.get_by_role("row").nth(1)).to_be_visible()
        await self._keys("j Enter")

    async def time(self, button: str) -> None:
        await self._keys(self._times[button])

    async def look_up(self, scroller: Locator) -> None:
        await self._reach(scroller)
        await self.page.keyboard.press("PageUp")

    async def look_down(self, scroller: Locator) -> None:
        await self.page.keyboard.press("End")

    async def _keys(self, keys: str) -> None:
        # A shortcut does not work while one types in a field.
        if await self.page.evaluate(
            "() => document.activeElement?.matches('input:not([type=checkbox], [type=radio]), textarea, select')"
        ):
            await self.page.keyboard.press("Tab")
        for key in keys.split():
            await self.page.keyboard.press(key)

    async def _reach(self, control: Locator) -> None:
        await expect(control).to_be_visible()
        if await control.get_attribute("role") == "tab" and await control.get_attribute("aria-selected") == "false":
            # Tab leads to the chosen one of a row of tabs, and the arrows from there to the others.
            await self._reach(control.locator("xpath=..").get_by_role("tab", selected=True))
            for _ in range(10):
                if await control.evaluate(_HAS_FOCUS):
                    return
                await self.page.keyboard.press("ArrowRight")
        for _ in range(3):
            away = await control.evaluate(_TABS)
            for _ in range(abs(away)):
                await self.page.keyboard.press("Tab" if away > 0 else "Shift+Tab")
            if await control.evaluate(_HAS_FOCUS):
                return
        focus = await self.page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")
        raise AssertionError(f"the keyboard does not reach {control}; the focus is on {focus}")


HANDS: dict[str, type[Mouse] | type[Keyboard]] = {"mouse": Mouse, "keyboard": Keyboard, "narrow": Narrow}
