"""The live page, in a real Chromium: it shows what happens, and no name that a program chose can harm it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from looking import HOSTILE, PATIENCE, View, a_browser
from playwright.sync_api import Browser, Page, Request, expect

# A browser takes its time on a machine that does much else.
pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=PATIENCE)
# --absent of page.css, in its light form.
RED = "rgb(179, 38, 30)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    view = View(tmp_path / "events")
    try:
        yield view
    finally:
        view.end()


def read(view: View, path: str) -> None:
    view.add("path.used", path=path, operation="read", mount="/data", count=1)


def harmed(page: Page) -> object:
    return page.evaluate("window.harmed")


def test_a_file_lights_up_when_it_is_touched(view: View, browser: Browser) -> None:
    page = view.page(browser)
    read(view, "/data/notes")
    page.wait_for_selector("#tree li.used.touched >> text=notes")
    page.evaluate("window.held.splice(0).forEach((act) => act())")
    page.wait_for_selector("#tree li.used:not(.touched) >> text=notes")
    read(view, "/data/notes")
    page.wait_for_selector("#tree li.used.touched >> text=read twice")
    page.context.close()


def test_a_name_that_is_looked_for_and_absent_turns_red(view: View, browser: Browser) -> None:
    page = view.page(browser)
    view.add("path.absent", path="/etc/shadow")
    page.wait_for_selector("#tree li.absent.missed >> text=shadow")
    row = page.locator("#tree li.absent > .row")
    assert row.evaluate("each => getComputedStyle(each).color") == RED
    expect(row).to_have_text("✕shadownot there, looked for once")
    page.wait_for_selector("#wanted-rows td.absent")
    expect(page.locator("#tile-absent dd")).to_contain_text("1")
    page.context.close()


def test_a_leaf_becomes_a_branch_and_a_closed_directory_shines_for_what_is_in_it(
    view: View, browser: Browser
) -> None:
    page = view.page(browser)
    view.add("path.used", path="/data", operation="list", mount="/data", count=1)
    page.wait_for_selector("#tree li.used >> text=data")
    for there, name in enumerate(("b", "c", "a")):
        expect(page.locator("#tree li li li")).to_have_count(there)
        read(view, f"/data/{name}")
    expect(page.locator("#tree li li li .path")).to_have_text(["a", "b", "c"])
    page.locator("#tree summary", has_text="data").click()
    read(view, "/data/b")
    page.wait_for_selector("#tree li li.touched > details:not([open])")
    page.context.close()


def test_names_that_a_hostile_program_chose_are_text(view: View, browser: Browser) -> None:
    page = view.page(browser)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - it sets attributes
    for name in HOSTILE:
        view.add("path.absent", path=f"/{name}")
        read(view, f"/data/{name}")
        view.add("dial.open", address=name, to=name, grant=name, connection=1)
        view.add("error", reason=name, operation=name)
        view.add("grant", action="mount", id=name, path=f"/mounted/{name}", mechanism=name, note=name)
    view.add("app.start", pid=1, command=list(HOSTILE))
    page.wait_for_selector("#log li >> text=app.start")
    page.wait_for_selector("#tree >> text=<script>window.harmed = 1<")
    page.wait_for_selector("#wanted-rows >> text=two\\nlines\\r\\x1b[31mred\\x07\\x00")
    page.wait_for_selector("#grant-rows >> text=not utf-8: \\xff\\x80")
    page.wait_for_selector("#tree >> text=\\u202egnp.exe")
    assert harmed(page) is None
    page.reload()  # the same, drawn as a whole
    page.wait_for_selector("#tree >> text=<script>window.harmed = 1<")
    assert harmed(page) is None
    assert page.locator("img, iframe, object, form").count() == 0
    assert page.locator("script").count() == 1
    assert {request.url.partition("?")[0] for request in asked} == {page.url, f"{page.url}changes"}
    assert len(page.content()) < 200_000
    page.context.close()


def test_ten_views_at_once_show_the_same(view: View, browser: Browser) -> None:
    pages = [view.page(browser) for _ in range(10)]
    read(view, "/data/notes")
    for page in pages:
        page.wait_for_selector("#tree li.used >> text=notes")
        page.context.close()


def test_a_tab_that_nobody_sees_lets_go_and_has_all_when_it_is_seen_again(
    view: View, browser: Browser
) -> None:
    page = view.page(browser)
    hide = "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide.format("true") + tell)
    page.wait_for_selector("body[data-state=waiting]")
    other = view.page(browser)
    for name in ("a", "b"):
        read(view, f"/data/{name}")
        other.wait_for_selector(f"#tree li.used >> text={name}")
    assert page.locator("#tree >> text=data").count() == 0
    page.evaluate(hide.format("false") + tell)
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_selector("#tree li.used >> text=b")
    page.wait_for_selector("#log >> text=read /data/a")
    page.context.close()
    other.context.close()


def test_a_file_that_is_emptied_is_shown_anew(view: View, browser: Browser) -> None:
    page = view.page(browser)
    read(view, "/data/of-the-first-run")
    page.wait_for_selector("#tree li.used >> text=of-the-first-run")
    view.file.write_text("")
    read(view, "/data/second")  # a shorter file than before: that is how it is known
    page.wait_for_selector("#tree li.used >> text=second")
    assert page.locator("#tree >> text=of-the-first-run").count() == 0
    page.context.close()


def test_the_page_says_when_the_view_has_ended(view: View, browser: Browser) -> None:
    page = view.page(browser)
    view.end()
    page.wait_for_selector("body[data-state=waiting] >> text=the connection is lost")
    page.context.close()


def test_the_page_can_be_read_without_scripts(view: View, browser: Browser) -> None:
    read(view, "/data/notes")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(view.url)
        while page.locator("#tree >> text=notes").count() == 0:
            page.reload()
        assert page.locator("#tree li.used >> text=notes").count() == 1
