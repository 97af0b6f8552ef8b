"""Desk page: drives the page in a browser as a writer does.

Owns the selectors. Collects every error that the page logs in `complaints`. Knows nothing of the server.
"""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

# CodeMirror draws only the visible text. A screen of this height shows the whole texts of these tests.
TALL = 20_000
PATIENCE_MS = 20_000

# Returns the drawn text without the writing head.
READ = """() => [...document.querySelectorAll('.cm-line')].map(line => line.textContent).join('\\n')"""
WHERE = """([words, after]) => {
  const walker = document.createTreeWalker(document.querySelector('.cm-content'), NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const at = walker.currentNode.data.indexOf(words)
    if (at < 0) continue
    const range = document.createRange()
    range.setStart(walker.currentNode, at)
    range.setEnd(walker.currentNode, at + words.length)
    // The view may follow the end. A click outside the sheet would hit another element, so scroll there first.
    const sheet = document.querySelector('.cm-scroller').getBoundingClientRect()
    const line = range.getBoundingClientRect()
    const isSeen = line.top >= sheet.top && line.bottom <= sheet.bottom
    if (!isSeen) walker.currentNode.parentElement.scrollIntoView({ block: 'center' })
    const box = [...range.getClientRects()].at(after ? -1 : 0)
    return [after ? box.right - 1 : box.left + 1, (box.top + box.bottom) / 2]
  }
  throw new Error(words + ' is not on screen')
}"""
PASTE = """text => {
  const data = new DataTransfer()
  data.setData('text/plain', text)
  const event = new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
  document.querySelector('.cm-content').dispatchEvent(event)
}"""
WATCH_POLICY = """addEventListener('securitypolicyviolation', event =>
  console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI))"""


class DeskPage:
    """One page, and the steps that a writer takes on it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(WATCH_POLICY)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        # The browser itself logs an error when a test cuts the network.
        if message.type == "error" and "net::ERR" not in message.text:
            self.complaints.append(message.text)

    @property
    def text_field(self) -> Locator:
        return self.page.locator(".cm-content")

    @property
    def end(self) -> Locator:
        return self.page.locator(".writing-head")

    @property
    def saved(self) -> Locator:
        """The bar's reading of unsaved changes and the connection."""
        return self.page.locator(".saved")

    @property
    def doing(self) -> Locator:
        """The draft's state in the sheet's head."""
        return self.page.locator(".doing")

    def open(self, story: str = "") -> None:
        self.page.goto(f"{self.address}/#/story/{story}" if story else self.address)
        if story:
            expect(self.text_field).to_have_attribute("contenteditable", "true", timeout=PATIENCE_MS)
            self.wait_until_saved()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose_models(self, *names: str) -> None:
        """On the empty desk, choose exactly these models."""
        chips = self.page.get_by_role("group", name="Models").locator("label")
        expect(chips.first).to_be_visible()
        # The last chosen model cannot be removed, so the wanted models are added first.
        for wanted in (True, False):
            for chip in chips.all():
                box = chip.locator("input")
                if (chip.inner_text() in names) is wanted is not box.is_checked() and box.is_enabled():
                    chip.click()

    def start(self) -> None:
        self.button("Start").click()
        expect(self.button("Pause")).to_be_visible()

    def pause(self) -> None:
        """Pause, and wait until every change is confirmed."""
        self.button("Pause").click()
        expect(self.button("Start")).to_be_visible()
        self.wait_until_saved()

    def wait_until_saved(self) -> None:
        expect(self.saved).to_have_text("Saved", timeout=PATIENCE_MS)

    def wait_for_words(self, count: int = 5) -> None:
        """Wait until the model has written `count` more words on screen."""
        before = len(self.text().split())
        self.page.wait_for_function(
            f"goal => ({READ})().split(/\\s+/).filter(Boolean).length >= goal", arg=before + count
        )

    def type(self, text: str) -> None:
        """Type at the caret, key by key."""
        self.page.keyboard.type(text, delay=15)

    def tab_to(self, target: Locator) -> None:
        """Press Tab until `target` has the keyboard focus."""
        for _ in range(60):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {target}.")

    def caret_to(self, words: str, after: bool = True) -> None:
        """Click right after (or before) the first occurrence of `words` on screen."""
        x, y = self.page.evaluate(WHERE, [words, after])
        self.page.mouse.click(x, y)

    def caret_to_end(self) -> None:
        self.text_field.focus()
        self.page.keyboard.press("Control+End")

    def paste(self, text: str) -> None:
        self.page.evaluate(PASTE, text)

    def text(self) -> str:
        """Return the drawn text."""
        text: str = self.page.evaluate(READ)
        return text

    def whole_text(self, expected: str) -> str:
        """Wait until the whole text is as expected, and return it. Raises TimeoutError if it does not become so."""
        width = (self.page.viewport_size or {"width": 1280})["width"]
        self.page.set_viewport_size({"width": width, "height": TALL})
        self.page.wait_for_function(f"expected => ({READ})() === expected", arg=expected)
        return self.text()
