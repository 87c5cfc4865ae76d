"""The suite's own rules: fast tests first, nothing left behind, every skip counted with its reason.

The run fails when a mount, a namespace, a process or a socket file that it made is still there at its end
(leftovers.py); another run at the same time, as `scripts/suite` has one, is none of its business. System
tests take the fixture `as_user`, and so run as root and as an ordinary user (accounts.py).
"""

from __future__ import annotations

import functools
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import accounts
import hypothesis
import pytest
from accounts import Account
from fuzzing import Fuzzing
from leftovers import Before

# The modules of fixtures that tests name as `pytest_plugins`. Here, since a test that imports from one too
# does so before its plugins are looked at, and pytest rewrites the asserts of what is not imported yet.
pytest.register_assert_rewrite("gates", "ground", "kept_listings", "kept_scene", "running")

# Folders below tests/, in the order in which they run: what answers within seconds comes first.
ORDER = [
    *("", "manifest", "namespace", "kernel", "fs", "layers", "programs", "net"),
    *("conformance", "posix", "keeper", "kept", "cli", "system", "faults", "attacks"),
]

_before = pytest.StashKey[Before]()
_left = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too, those marked soak")
    parser.addoption("--fuzz-seed", type=int, metavar="NUMBER", help="the first round's seed (one of chance)")
    parser.addoption("--fuzz", type=float, metavar="SECONDS", help="the property tests alone, for so long")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_before] = Before()
    # A busy machine takes longer for an example than hypothesis allows by itself, which proves nothing.
    hypothesis.settings.register_profile("suite", deadline=None)
    hypothesis.settings.load_profile("suite")
    if (seconds := config.getoption("--fuzz")) is not None:
        config.pluginmanager.register(Fuzzing(seconds, config.getoption("--fuzz-seed")))
    # A suite in a shell's background starts with these ignored, and so would what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def _rank(item: pytest.Item) -> tuple[bool, int]:
    folder = (
        item.path.relative_to(Path(__file__).parent).parts[0]
        if item.path.parent != Path(__file__).parent
        else ""
    )
    return item.get_closest_marker("system") is not None, ORDER.index(folder) if folder in ORDER else len(
        ORDER
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        long = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
    items.sort(key=_rank)  # stable: the order within a file stays


@functools.cache
def _why_not(name: str) -> str | None:
    return accounts.why_not(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "as_user" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("accounts")
        wanted = marker.args if marker else accounts.names()
        longer = metafunc.definition.get_closest_marker("soak_accounts")
        names: list[Any] = [name for name in accounts.names() if name in wanted]
        if not names:
            skip = pytest.mark.skip(f"for {' and '.join(wanted)} alone, and this suite runs as another user")
            names = [pytest.param("root", marks=skip)]
        if longer:
            names = [
                pytest.param(name, marks=pytest.mark.soak) if name in longer.args else name for name in names
            ]
        metafunc.parametrize("as_user", names, indirect=True)


@pytest.fixture
def as_user(request: pytest.FixtureRequest) -> Iterator[Account]:
    """Root and an ordinary user, one after another: an `Account` with a folder of its own."""
    if reason := _why_not(request.param):
        pytest.skip(reason)
    with accounts.account(request.param) as made:
        yield made


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    left = session.config.stash[_before].leftovers()
    session.config.stash[_left] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left behind, and count the skips by reason, right before the totals."""
    write = terminalreporter.write_line
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(skipped.items()):
        write(f"skipped {count}: {reason}", yellow=True)
    if not skipped:
        write("skipped 0: nothing was skipped")
    for line in config.stash.get(_left, []):
        write(f"left behind: {line}", red=True)


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
