"""Make the pictures of pages in docs/pictures: the agent of the demonstration, as `libos report` and `libos
view` show it, in a real Chromium.

page_pictures.py FOLDER
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from watch_picture import TOP, run_agent

import libos
from libos.page.making import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Pixels: what a page of documentation shows well.
WIDTH, HEIGHT = 1080, 1000
# What is shown as having just happened in the live page.
JUST_NOW = ("/etc/shadow", "/etc/hosts")


def lines(events: Sequence[libos.Event]) -> str:
    """An event file of these, in which the checkout stands nowhere in particular."""
    return "".join(f"{event.json()}\n" for event in events).replace(f"{TOP}/", "")


def take_report(browser: Browser, events: Sequence[libos.Event], folder: Path, scratch: Path) -> None:
    """The page of the finished run."""
    file = scratch / "run.jsonl"
    file.write_text(lines(events))
    shown = open_page(browser)
    shown.set_content(report(str(file)))
    shown.screenshot(path=folder / "report.png")
    shown.close()


def open_page(browser: Browser) -> Page:
    """A window of the pictures' size."""
    return browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")


def take_view(browser: Browser, events: Sequence[libos.Event], folder: Path, scratch: Path) -> None:
    """The live page in the middle of the run, with what has just happened still lit up."""
    late = [event for event in events if event.fields.get("path") in JUST_NOW]
    early = [event for event in events if event not in late and event.kind != "app.exit"]
    file = scratch / "events"
    file.write_text(lines(early))
    command = [str(Path(sys.executable).parent / "libos"), "view", str(file)]
    view = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert view.stdout is not None
        shown = open_page(browser)
        shown.goto(view.stdout.readline().strip())
        shown.wait_for_selector("#tree li li li.used")
        shown.locator("#what").evaluate("each => each.scrollIntoView()")
        with file.open("a") as more:
            more.write(lines(late))
        shown.wait_for_selector("#tree .touched")
        shown.wait_for_selector("#tree .missed")
        shown.screenshot(path=folder / "view.png")
        shown.close()
    finally:
        view.terminate()
        view.communicate()


def main(folder: Path) -> None:
    """Make all pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("this needs chromium: scripts/system-packages test")
    from playwright.sync_api import sync_playwright

    events = trio.run(run_agent)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(executable_path=chromium)
        take_report(browser, events, folder, Path(scratch))
        take_view(browser, events, folder, Path(scratch))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
