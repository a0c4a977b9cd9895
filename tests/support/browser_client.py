"""An operator at a real client: Converse.js in headless Chromium, driven through what it shows.

Reading and clicking only: nothing here calls into the client's own code, so what a test sees is what a person sees.
"""

import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.sax.saxutils import quoteattr

from playwright import async_api as playwright_api
from playwright.async_api import Locator, Page

from tests.support.converse_page import ConversePage, MissingConverseError, settings_for
from tests.support.missing import is_missing
from tests.support.ports import free_port
from tests.support.raw import account
from tests.support.server import Server
from tests.support.waiting import until

LOGIN_TIMEOUT = 30.0  # the first load of a 1.3 MB script on two busy cores
TIMEOUT = 10.0
CLICK_TIMEOUT = 2.0
WIDTH, HEIGHT = 900, 700
PHONE_WIDTH, PHONE_HEIGHT = 480, 800
SCALE = 2  # pixels of a screenshot to one of CSS, as phones have
# The log-in page shows sponsors' pictures from the internet: a test asks nobody outside this machine.
CHROMIUM_OPTIONS = ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

PING = "<ping xmlns='urn:xmpp:ping'/>"
BODY = ".chat-msg__text"
READ_MESSAGES = """() => [...document.querySelectorAll("converse-chat .chat-msg")].map(one => {
  const text = (selector) => one.querySelector(selector)?.innerText.trim() ?? "";
  return {
    message_id: one.dataset.msgid,
    text: text(".chat-msg__text") || text(".retraction"),
    mine: one.querySelector(".chat-msg__content--me") !== null,
    edited: one.querySelector(".chat-msg__edit-modal") !== null,
    retracted: one.querySelector(".retraction") !== null,
    received: one.querySelector(".chat-msg__receipt") !== null,
    reply_to: text(".chat-msg__reply-text"),
    reactions: Object.fromEntries([...one.querySelectorAll(".chat-msg__reaction")].map(button => {
      const [emoji, count] = button.innerText.trim().split(/\\s+/);
      return [emoji, Number(count)];
    })),
  };
})"""


@dataclass(frozen=True, kw_only=True)
class ShownMessage:
    """One message as the chat with the bot shows it."""

    message_id: str  # of the original, also after a correction
    text: str  # of the newest version; of a retracted message what Converse says instead
    mine: bool
    edited: bool  # the pencil that opens the older versions
    retracted: bool
    received: bool  # the tick of a receipt, on messages of one's own
    reply_to: str  # the first words of the message that this one replies to
    reactions: dict[str, int]  # emoji -> how many people


@dataclass(frozen=True)
class Websocket:
    """A websocket of Prosody on a free loopback port: `own_server("prosody", **websocket.options)`."""

    port: int

    @property
    def url(self) -> str:
        """Where a browser connects."""
        return f"ws://127.0.0.1:{self.port}/xmpp-websocket"

    @property
    def options(self) -> dict[str, Any]:
        """What ProsodySettings needs for it, and for Converse.

        Without blocking (XEP-0191) Converse opens no chat with somebody who is not in the roster; without an archive
        (XEP-0313) it shows only one of the messages that waited for a fresh log-in.
        """
        lines = [
            f"http_ports = {{ {self.port} }}",
            'http_interfaces = { "127.0.0.1" }',
            "https_ports = {}",
            'http_default_host = "localhost"',
            "consider_websocket_secure = true",
        ]
        return {"modules": ["blocklist", "mam", "websocket"], "lines": lines}


def websocket() -> Websocket:
    """A new one."""
    return Websocket(free_port())


async def add_contact(server: Server, jid: str, contact: str, name: str) -> None:
    """As a person does it once in a client: the contact in the roster, its presence asked for, one's own allowed.

    The contact's own half, `subscribed` and `subscribe`, is the contact's. Converse sends displayed markers only to
    who may see its person's presence.
    """
    async with await account(server.host, server.c2s_port, jid, server.accounts[jid]) as stream:
        item = f"<item jid={quoteattr(contact)} name={quoteattr(name)}/>"
        await stream.iq("set", "", f"<query xmlns='jabber:iq:roster'>{item}</query>")
        for kind in ("subscribe", "subscribed"):
            stream.write(f"<presence to={quoteattr(contact)} type='{kind}'/>")
        await stream.iq("get", server.domain, PING)  # answered after what was written before it


def converse(
    socket: Websocket, jid: str, password: str, bot: str, *, adds: str = "", encrypts: bool = False
) -> "BrowserClient":
    """A client that is not started yet. Where it is not installed the test is skipped; in CI it fails."""
    try:
        return BrowserClient(socket, jid, password, bot, adds=adds, encrypts=encrypts)
    except MissingConverseError as error:
        is_missing("Converse.js", error)


class BrowserClient:
    """`async with BrowserClient(websocket, jid, password, bot) as client`: logged in, the chat with the bot is open.

    The bot is a contact; or is added in the client before, under the name `adds`. It `encrypts` or not (XEP-0384).

    Raises MissingConverseError where Chromium or Converse is not installed.
    """

    def __init__(
        self, socket: Websocket, jid: str, password: str, bot: str, *, adds: str = "", encrypts: bool = False
    ) -> None:
        chromium = shutil.which("chromium")
        if chromium is None:
            raise MissingConverseError("apt-get install chromium")
        self._chromium = chromium
        self._site = ConversePage(settings_for(socket.url, jid, password, encrypts=encrypts))
        self._bot = bot
        self._adds = adds
        self._stack = AsyncExitStack()
        self.console: list[str] = []  # warnings and errors that the page logged
        self.page: Page

    async def __aenter__(self) -> Self:
        """Start the browser and log in."""
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the browser; the server sees the websocket end."""
        await self._stack.aclose()

    async def _open(self) -> None:
        site = await self._stack.enter_async_context(self._site)
        playwright = await self._stack.enter_async_context(playwright_api.async_playwright())
        browser = await playwright.chromium.launch(executable_path=self._chromium, args=CHROMIUM_OPTIONS)
        self._stack.push_async_callback(browser.close)
        self.page = await browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE, locale="en-GB"
        )
        self.page.set_default_timeout(TIMEOUT * 1000)
        self.page.on("console", lambda line: self.console.append(f"{line.type}: {line.text}"))
        self.page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        await self.page.goto(site.url)
        contact = self.page.locator(f'.open-chat[data-jid="{self._bot}"]').first
        try:
            if self._adds:
                await self._add()
            await contact.wait_for(timeout=LOGIN_TIMEOUT * 1000)
            await until(lambda: self._opened_by_clicking(contact), TIMEOUT, "the chat with the bot")
        except (playwright_api.TimeoutError, AssertionError) as error:
            said = "\n".join(self.console)
            raise AssertionError(f"the chat with {self._bot} does not open. Console:\n{said}") from error

    async def _add(self) -> None:
        """Add the bot to the contacts, as a person does it."""
        item = self.page.locator("a.add-contact").first
        menu = self.page.locator("converse-dropdown", has=item).locator("button").first
        await menu.click(timeout=LOGIN_TIMEOUT * 1000)
        await item.click()
        form = self.page.locator("form.add-xmpp-contact")
        await form.locator("input[name=jid]").fill(self._bot)
        await form.locator("input[name=name]").fill(self._adds)
        await form.locator("button[type=submit]").click()
        await form.wait_for(state="hidden")
        said = self.page.locator("converse-toast")
        await said.locator("button").click()
        await said.wait_for(state="hidden")

    async def _opened_by_clicking(self, contact: Locator) -> bool:
        """Click as a person does, again where nothing happens: while old messages pour in Converse may miss a click."""
        await contact.click()
        try:
            await self._text_field.wait_for(timeout=CLICK_TIMEOUT * 1000)
        except playwright_api.TimeoutError:
            return False
        return True

    @property
    def _text_field(self) -> Locator:
        return self.page.locator("converse-chat .chat-textarea")

    async def shown(self) -> list[ShownMessage]:
        """Every message of the chat with the bot, oldest first."""
        return [ShownMessage(**one) for one in await self.page.evaluate(READ_MESSAGES)]

    async def messages(self) -> list[str]:
        """Their texts."""
        return [one.text for one in await self.shown()]

    async def until_messages(self, texts: list[str], timeout: float = TIMEOUT) -> None:
        """Wait until exactly these texts are shown, in this order."""
        seen: list[str] = []

        async def all_there() -> bool:
            seen[:] = await self.messages()
            return seen == texts

        try:
            await until(all_there, timeout, f"{texts}")
        except AssertionError as error:
            raise AssertionError(f"{error}; shown: {seen}") from None

    async def until_message(self, text: str, timeout: float = TIMEOUT) -> ShownMessage:
        """Wait until a message contains this text, and return the newest such one."""
        found: list[ShownMessage] = []

        async def there() -> bool:
            found[:] = [one for one in await self.shown() if text in one.text]
            return bool(found)

        await until(there, timeout, f"a message with {text!r}")
        return found[-1]

    async def send(self, text: str) -> None:
        """Type a message to the bot, one line or several, and send it."""
        await self._text_field.fill(text)
        await self._text_field.press("Enter")

    async def react(self, text: str, emoji: str) -> None:
        """Click one of the reactions that Converse offers first (👍 ❤️ 😆 😂 🎉) for the message with this text."""
        await self._act(text, "reaction")
        await self._message(text).locator(".reaction-item", has_text=emoji).click()

    async def reply(self, text: str, answer: str) -> None:
        """Reply (XEP-0461) to the message with this text."""
        await self._act(text, "reply")
        await self.send(answer)

    async def _act(self, text: str, action: str) -> None:
        """Choose an action from the menu of the message with this text."""
        message = self._message(text)
        await message.hover()
        await message.locator("converse-dropdown .dropdown-toggle, converse-dropdown button").first.click()
        await message.locator(f".chat-msg__action-{action}").click()

    def _message(self, text: str) -> Locator:
        return self.page.locator("converse-chat .chat-msg").filter(has=self.page.locator(BODY, has_text=text)).last

    async def commands(self) -> list[str]:
        """The names of the bot's ad-hoc commands (XEP-0050): in Converse a person types the bot's address for them."""
        await self.page.locator(".show-client-info").first.click()
        await self.page.get_by_role("tab", name="Commands").click()
        await self._commands.locator("input[name=jid]").fill(self._bot)
        await self._commands.locator("input[type=submit]").click()
        found = self._commands.locator("a[data-command-node]")
        await found.first.wait_for()
        return await found.all_inner_texts()

    async def run_command(self, name: str, **fields: str) -> str:
        """After `commands()`: execute one, fill in its form if it shows one, and return what the window says then.

        Fields are by `var`; one with a list of choices takes the choice's value.
        """
        await self._commands.locator("a[data-command-node]", has_text=name).click()
        form = self._commands.locator("li", has_text=name).locator("form")
        await form.wait_for()
        for var, value in fields.items():
            field = form.locator(f'[name="{var}"]')
            if await field.evaluate("field => field.localName") == "select":
                await field.select_option(value)
            else:
                await field.fill(value)
        submit = form.locator("input[data-action]").first
        if await submit.count():
            await submit.click()
            await self._commands.locator(".alert", has_text="Completed").wait_for()
        return await self._commands.inner_text()

    async def close_commands(self) -> None:
        """Close the window that `commands()` opened."""
        close = self.page.locator(".modal-content", has=self._commands).get_by_role("button", name="Close").last
        await close.click()
        await close.wait_for(state="hidden")

    @property
    def _commands(self) -> Locator:
        return self.page.locator("converse-adhoc-commands")

    async def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        await self.page.screenshot(path=path, animations="disabled", caret="hide")

    async def picture(self, path: Path) -> None:
        """The same for people to look at: of a phone's width."""
        await self.page.set_viewport_size({"width": PHONE_WIDTH, "height": PHONE_HEIGHT})
        await self.page.mouse.move(0, 0)
        await self.screenshot(path)
