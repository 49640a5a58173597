"""The tools that open below the panel's table, as a user works them."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.panels import PanelPage

COMMAND = ".rl-remark[data-kind='command']"
"""A command in a console, as it was typed."""


class TerminalPage:
    """One terminal that is in sight."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page: Page = root.page
        self.rows = root.locator(".xterm-rows")
        self.status = root.locator(".rl-shell-status")

    def shows(self, text: str) -> None:
        """Wait until its screen has a text."""
        expect(self.rows).to_contain_text(text)

    def lacks(self, text: str) -> None:
        """Wait until its screen has a text no more."""
        expect(self.rows).not_to_contain_text(text)

    def run(self, line: str) -> None:
        """Type a line, and Enter."""
        self.root.locator(".xterm-helper-textarea").focus()
        self.page.keyboard.type(line)
        self.page.keyboard.press("Enter")

    def is_(self, status: str) -> None:
        """Wait until it says what state it is in."""
        expect(self.status).to_contain_text(status)

    def prompts(self) -> None:
        """Wait until the shell asks for a command."""
        expect(self.rows).to_contain_text(re.compile("[$#%]"))


def open_terminal(panel: PanelPage, name: str) -> TerminalPage:
    """Open a terminal from the menu of a devbox's row, and wait for the shell."""
    panel.menu_of(name, "Open terminal")
    opened = TerminalPage(panel.page.locator(".rl-terminal:visible"))
    opened.is_("Connected")
    opened.prompts()
    return opened


def open_new_shell(panel: PanelPage, name: str) -> TerminalPage:
    """Open a terminal; its shell is a new one, also where an earlier terminal left one that waits at its prompt."""
    opened = open_terminal(panel, name)
    if "ran on" in opened.status.inner_text():
        opened.run("exit")
        opened.is_("The shell has ended")
        opened.root.get_by_role("button", name="New shell").click()
        opened.is_("Connected")
        opened.prompts()
    return opened


class FilesPage:
    """The files of a devbox that are in sight."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page: Page = root.page
        self.list = root.get_by_role("listbox")

    def row(self, name: str) -> Locator:
        """The row of a file or folder."""
        return self.root.get_by_role("option", name=re.compile(f"^{re.escape(name)}, "))

    def press(self, label: str, *, exact: bool = False) -> None:
        """Press a button."""
        self.root.get_by_role("button", name=label, exact=exact).click()

    def is_at(self, path: str) -> None:
        """Wait until it shows this folder."""
        expect(self.root.get_by_label("Path")).to_have_value(path)


class ConsolePage:
    """The console of a devbox that is in sight."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page: Page = root.page
        self.line = root.locator("textarea")
        self.screen = root.get_by_role("log")

    def type(self, text: str) -> None:
        """Type a line, and Enter."""
        self.line.focus()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def run(self, command: str, *, ends: str = "exit code 0") -> None:
        """Run a command, and wait until it has ended."""
        self.type(command)
        expect(self.screen.locator(COMMAND).last).to_contain_text(command)
        self.ended(ends)

    def ended(self, words: str) -> None:
        """Wait until it says how the last command ended."""
        expect(self.screen.locator(".rl-remark").last).to_contain_text(words)

    def shows(self, text: str) -> None:
        """Wait until it shows a text."""
        expect(self.screen).to_contain_text(text)

    def is_(self, status: str) -> None:
        """Wait until its bar says this."""
        expect(self.root.locator(".rl-run-status")).to_contain_text(status)


class LogsPage:
    """The logs of a devbox that are in sight."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page: Page = root.page
        self.list = root.get_by_role("listbox")
        self.search = root.get_by_role("searchbox")

    def line(self, text: str) -> Locator:
        """The lines in sight whose text is this."""
        return self.root.locator(".rl-log-text").get_by_text(text, exact=True)

    def shows(self, text: str) -> None:
        """Wait until a line with this text is in sight."""
        expect(self.line(text).last).to_be_visible()

    def press(self, label: str) -> None:
        """Press a button."""
        self.root.get_by_role("button", name=label).click()

    def is_empty(self) -> None:
        """Wait until it says that there are no lines."""
        expect(self.root.locator(".rl-tool-empty")).to_contain_text("No lines yet")

    def counts(self, words: str | re.Pattern[str]) -> None:
        """Wait until it says how many lines were found."""
        expect(self.root.locator(".rl-log-count")).to_have_text(words)
