"""The live page in a real Chromium: how soon an event is shown at 1,000 events a second, how many are not,
and what it takes when nothing happens.

A world's program looks for names that are not there; its events go by the control socket to `libos view`, and
from there to the browser. An event is shown when its line is in the page and the browser has drawn the next
frame. Both clocks are the machine's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from benchmarks.command import LIBOS
from benchmarks.measure import Figure, Goal, summed_up

if TYPE_CHECKING:
    from playwright.sync_api import Page

RATE = 1000
SECONDS = 10
# Seconds of quiet before what is measured of it, and those that are.
SETTLE_SECONDS = 3
QUIET_SECONDS = 10
# Milliseconds until something is there.
PATIENCE = 60_000
_DAY = 86_400_000

# Says when it is ready, looks for names at RATE once a line has come, and ends with the next line.
_LOOK = f"""
import os, sys, time
print("ready", flush=True)
sys.stdin.readline()
begin = time.monotonic()
for number in range({RATE * SECONDS}):
    while time.monotonic() < begin + number / {RATE}:
        time.sleep(0.0002)
    try:
        os.stat(f"/absent-{{number % 500}}")
    except FileNotFoundError:
        pass
try:
    os.stat("/the-last")
except FileNotFoundError:
    pass
sys.stdin.readline()
"""

# Notes each line that appears in the list of events, with the time after the next frame.
_WATCH = """
() => {
  window.noted = [];
  new MutationObserver((changes) => {
    const texts = changes.flatMap((each) => [...each.addedNodes]).map((each) => each.textContent);
    requestAnimationFrame(() => setTimeout(() => {
      const now = performance.timeOrigin + performance.now();
      window.noted.push(...texts.map((text) => [now, text]));
    }));
  }).observe(document.getElementById("log"), {childList: true});
}
"""


async def measure(scratch: Path) -> list[Figure]:
    """All figures of one run: one world, one view, one browser."""
    return await trio.to_thread.run_sync(_measure)


def _measure() -> list[Figure]:
    with ExitStack() as stack:
        name = f"bench-view-{os.getpid()}"
        world = stack.enter_context(_command("run", "--name", name, "--", "python3", "-c", _LOOK))
        _line(world)
        view = stack.enter_context(_command("view", name))
        page = stack.enter_context(_page(_line(view)))
        page.evaluate(_WATCH)
        _say(world)
        time.sleep(SECONDS)  # what waits for the page looks into it all the time
        page.wait_for_selector("#log >> text=the-last = ENOENT")
        noted: list[tuple[float, str]] = page.evaluate("window.noted")
        time.sleep(SETTLE_SECONDS)
        # The browser's processes are below the driver's, which a thread of this one has started.
        browsers = [pid for pid in _below(os.getpid()) if _is_browser(pid)]
        assert browsers
        servers = [view.pid, *_below(view.pid)]
        begin = _used(browsers), _used(servers)
        time.sleep(QUIET_SECONDS)
        browser, server = _used(browsers) - begin[0], _used(servers) - begin[1]
    return _figures(noted, browser / QUIET_SECONDS * 100, server / QUIET_SECONDS * 100)


def _figures(noted: list[tuple[float, str]], browser: float, server: float) -> list[Figure]:
    took = [(now - _time(text)) % _DAY for now, text in noted if "/absent-" in text]
    unlisted = sum(int(found[1]) for _, text in noted if (found := re.match(r"… (\d+) more", text)))
    late = summed_up("shown", took)
    lost = RATE * SECONDS - len(took) - unlisted
    return [
        Figure("an event, until the browser shows it", "ms", [late]),
        Figure(
            "the same, 95th percentile", "ms", [summed_up("shown", [late.p95])],
            Goal(200, "at most", "median"),
        ),
        Figure(
            f"of {RATE * SECONDS} events, lost and not told", "events", [summed_up("lost", [lost])],
            Goal(0, "at most", "median"),
        ),
        Figure("of these, counted and not listed singly", "events", [summed_up("counted", [unlisted])]),
        Figure(
            "an idle view, of one processor", "%",
            [summed_up("server and browser", [server + browser]), summed_up("the server", [server])],
            Goal(5, "at most", "median"),
        ),
    ]  # fmt: skip


def _time(text: str) -> float:
    """The time of day of a line, in milliseconds."""
    hours, minutes, seconds = text.split(" ")[0].split(":")
    return ((int(hours) * 60 + int(minutes)) * 60 + float(seconds)) * 1000


@contextmanager
def _command(*argv: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [LIBOS, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TZ": "UTC0"},  # lines tell the local time
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@contextmanager
def _page(url: str) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("this needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(url)
            page.wait_for_selector("body[data-state=live]")
            yield page
        finally:
            browser.close()


def _below(pid: int) -> list[int]:
    """All processes below this one, whichever of its threads started them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return children + [each for child in children for each in _below(child)]


def _is_browser(pid: int) -> bool:
    return "chrom" in Path(f"/proc/{pid}/comm").read_text()


def _used(pids: list[int]) -> float:
    """Seconds of processor time of these processes until now. proc_pid_stat(5)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
