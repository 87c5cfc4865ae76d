"""The check for what is left behind sees what it must see: each case runs a small suite in a child pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Before, describe, marked_processes

TESTS = Path(__file__).parent


def run_suite(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under this suite's own conftest, in a process of its own."""
    (folder / "test_it.py").write_text(source)
    for name in ("conftest.py", "leftovers.py", "accounts.py", "fuzzing.py"):
        (folder / name).write_text((TESTS / name).read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=50)


def test_a_clean_suite_passes_and_counts_no_skip(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "def test_it(): pass")
    assert done.returncode == 0, done.stdout
    assert "skipped 0: nothing was skipped" in done.stdout


def test_skips_are_counted_by_reason(tmp_path: Path) -> None:
    source = (
        "import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n): pytest.skip('no such kernel')"
    )
    assert "skipped 2: no such kernel" in run_suite(tmp_path, source).stdout


def test_a_process_that_outlives_the_suite_fails_it(tmp_path: Path) -> None:
    # In a session of its own, in new user and pid namespaces, with an empty environment: it is still seen.
    source = (
        "import subprocess\n"
        "def test_it():\n"
        "    command = ['env', '-i', 'unshare', '-Urpf', '--kill-child', 'sleep', '60']\n"
        "    global child\n"
        "    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)\n"
    )
    done = run_suite(tmp_path, source)
    left = [line for line in done.stdout.splitlines() if line.startswith("left behind: process")]
    for line in left:
        os.kill(int(line.split()[3]), signal.SIGKILL)
    assert done.returncode == 1, done.stdout
    assert any("sleep 60" in line for line in left), done.stdout


def test_this_process_carries_the_mark_and_its_children_too(pytestconfig: pytest.Config) -> None:
    before = next(value for value in pytestconfig.stash._storage.values() if isinstance(value, Before))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.pid in marked_processes(before.mark)
        assert "cat" in describe(child.pid)
    assert child.pid not in marked_processes(before.mark)


def test_a_socket_file_of_the_run_fails_it(tmp_path: Path) -> None:
    source = (
        "import os, socket\n"
        "from libos.control.folder import open_folder\n"
        "def test_it():\n"
        "    with open_folder() as folder, socket.socket(socket.AF_UNIX) as made:\n"
        "        made.bind(str(folder.socket_path('left')))\n"
    )
    done = run_suite(tmp_path, source)
    assert done.returncode == 1, done.stdout
    left = [line for line in done.stdout.splitlines() if line.startswith("left behind: socket file")]
    assert len(left) == 1 and left[0].endswith("/libos/left.sock")
    folder = Path(left[0].split()[-1]).parent.parent
    assert not folder.exists() and str(folder) != os.environ["XDG_RUNTIME_DIR"]
