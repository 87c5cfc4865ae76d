"""A `libos view` that runs, an event file that it follows, and a browser that looks at it."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Milliseconds that a page gets to show something, on a machine that does much else.
PATIENCE = 60_000
# Holds what lights up lit, until `window.held` is called: a test that is slow must not miss it.
HOLD = """
const real = window.setTimeout;
window.held = [];
window.setTimeout = (act, wait, ...rest) => {
  if (wait < 1000) return real(act, wait, ...rest);
  window.held.push(act);
  return "held";
};
"""
# Names as a hostile program chooses them.
HOSTILE = (
    "<script>window.harmed = 1</script>",
    '"><img src=x onerror="window.harmed = 1">',
    "'--></style></title><svg onload=window.harmed=1>",
    "{{ 7 * 7 }} &lt;b&gt; %7B",
    "two\nlines\r\x1b[31mred\x07\x00",
    "\u202egnp.exe\u2066",
    "not utf-8: \udcff\udc80",
    "long" * 300_000,
)


@contextmanager
def a_browser() -> Iterator[Browser]:
    """A real Chromium. As root it has no sandbox, which would not start there."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: Ubuntu has it as a snap alone")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


class View:
    """`libos view` of an event file; `add` lets things happen."""

    def __init__(self, file: Path, *options: str) -> None:
        self.file = file
        file.touch()
        self._number = 0
        command = [str(Path(sys.executable).parent / "libos"), "view", str(file), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(self.process.communicate()[1])

    def add(self, kind: str, **fields: object) -> None:
        """Write an event."""
        self._number += 1
        with self.file.open("a") as file:
            file.write(line(kind, 1000.0 + self._number / 10, **fields))

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.communicate()

    def page(self, browser: Browser) -> Page:
        """Open it in a window of its own, and wait until it is live."""
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(HOLD)
        page.goto(self.url)
        page.wait_for_selector("body[data-state=live]")
        return page


class Client:
    """Who asks a view by HTTP, without a browser; `enter` gets the cookie, as a browser does."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self.host = parts.netloc
        self._address = (parts.hostname, parts.port)
        self.first = f"{parts.path}?{parts.query}"
        self.folder, self.cookie = self._enter()

    @contextmanager
    def ask(self, path: str, method: str = "GET", **headers: str) -> Iterator[http.client.HTTPResponse]:
        """Ask, with nothing but these headers; reading the answer may wait."""
        connection = http.client.HTTPConnection(*self._address, timeout=PATIENCE / 1000)
        said = {"Host": self.host} | {key.replace("_", "-"): value for key, value in headers.items()}
        with closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for key, value in said.items():
                connection.putheader(key, value)
            connection.endheaders()
            with connection.getresponse() as answer:
                yield answer

    def status(self, path: str, method: str = "GET", **headers: str) -> int:
        """The status of an answer, which is not read further."""
        with self.ask(path, method, **headers) as answer:
            return answer.status

    def _enter(self) -> tuple[str, str]:
        with self.ask(self.first) as answer:
            assert answer.status == 303
            folder, cookie = answer.getheader("Location"), answer.getheader("Set-Cookie")
        assert folder and cookie
        return folder, cookie.partition(";")[0]

    def changes(self, since: int = 0, **headers: str) -> Generator[tuple[str, str, str]]:
        """The messages of the stream: their event, id and data, as they come."""
        path = f"{self.folder}changes?since={since}"
        with self.ask(path, Cookie=self.cookie, **headers) as answer:
            assert answer.status == 200
            message: dict[str, str] = {}
            while raw := answer.readline():
                key, _, value = raw.decode().rstrip("\n").partition(": ")
                if key:
                    message[key.rstrip(":")] = value
                elif message.keys() & {"data", "event"}:
                    yield message.get("event", ""), message.get("id", ""), message.get("data", "")
                    message = {}


def line(kind: str, time: float = 1000.0, /, **fields: object) -> str:
    """A line of an event file; of the world "w" unless the fields say another."""
    return json.dumps({"version": 1, "time": time, "world": "w", "kind": kind} | fields) + "\n"


def parts(data: str) -> Mapping[str, str]:
    """The HTML of each part in a message, by its id."""
    return {each[0]: each[2] for each in json.loads(data)}
