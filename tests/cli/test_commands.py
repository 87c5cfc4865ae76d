"""`libos check`, `explain`, `ns` and `schema`, and the entry that finds them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libos import cli
from libos.cli.elsewhere import ELSEWHERE
from libos.cli.sections import COMMANDS, SECTIONS
from libos.kernel.landlock import abi

GOOD = """\
libos = 1
include = ["base"]
[app]
command = ["true"]
[[mount]]
at = "/note"
text = "hello"
[[dial]]
to = "tcp!api.example.com!443"
[[listen]]
port = 8000
publish = "127.0.0.1:8000"
"""
BAD = """\
libos = 1
[app]
comand = ["true"]
[[mount]]
at = "relative"
host = "/no/such"
"""

Libos = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def libos(tmp_path: Path) -> Libos:
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text(BAD)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).parent / "libos"), *words]
        return subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    return run


def test_check_says_what_is_good(libos: Libos) -> None:
    done = libos("check", "good.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("good.toml: good (")
    found = json.loads(libos("check", "--json", "good.toml").stdout)
    assert (found["version"], found["ok"], found["errors"], found["dials"], found["listens"]) == (
        1,
        True,
        [],
        1,
        1,
    )


def test_check_says_every_error_at_its_place(libos: Libos) -> None:
    done = libos("check", "bad.toml")
    assert (done.returncode, done.stdout) == (2, "")
    places = [line.split()[0] for line in done.stderr.splitlines()]
    assert places == ["bad.toml:3:1:", "bad.toml:5:6:", "bad.toml:6:8:"]
    found = json.loads(libos("check", "--json", "bad.toml").stdout)
    assert (found["ok"], found["errors"]) == (False, done.stderr.splitlines())


def test_explain_gives_a_mechanism_and_a_reason_for_each_resource(libos: Libos) -> None:
    table = libos("explain", "good.toml", "-v", "/usr/share:/share:cow").stdout.splitlines()
    assert table[0].split()[:3] == ["AT", "WHAT", "MECHANISM"]
    rows = {line.split()[0]: line for line in table[1 : table.index("")]}
    assert "served" in rows["/note"]
    assert "good.toml:5:" in rows["/note"]
    assert "overlay" in rows["/share"]
    assert "bind" in rows["/usr"]
    assert "profile base" in rows["/usr"]


def test_explain_as_json_is_the_plan(libos: Libos) -> None:
    plan = json.loads(libos("explain", "--json", "good.toml").stdout)
    assert plan["version"] == 1
    resources = {line["at"]: line for line in plan["resources"]}
    assert (resources["/usr"]["mechanism"], resources["/note"]["mechanism"]) == ("bind", "served")
    assert all(line["reason"] and line["origin"] for line in plan["resources"])


def test_explain_names_the_walls_and_what_each_keeps(libos: Libos) -> None:
    lines = libos("explain", "good.toml").stdout.splitlines()
    walls = lines[lines.index("") + 1 :]
    assert walls[0].split() == ["WALL", "MECHANISM", "WHAT", "IT", "KEEPS"]
    names = "\n".join(walls)
    version = abi()
    assert f"Landlock, ABI {version}" in names if version >= 2 else "no Landlock" in names
    found = json.loads(libos("explain", "--json", "good.toml").stdout)["walls"]
    assert len(found) == len(walls) - 1
    assert all(wall["mechanism"] and wall["keeps"] for wall in found)
    assert {wall["wall"] for wall in found if not wall["holds"]} == (
        set() if version >= 2 else {"second wall", "libos run itself"}
    )


def test_explain_of_serve_all_binds_nothing(libos: Libos) -> None:
    table = libos("explain", "--serve-all", "good.toml").stdout
    assert " bind " not in table


def test_ns_prints_a_namespace_with_the_options_of_run(libos: Libos) -> None:
    text = libos("ns", "good.toml", "-v", "/usr/share:/share").stdout.splitlines()
    assert "bind '#host/usr' /usr" in text
    assert "bind '#host/usr/share' /share" in text


def test_schema_is_a_json_schema_that_knows_the_keys(libos: Libos) -> None:
    schema = json.loads(libos("schema").stdout)
    assert "$schema" in schema
    assert {"app", "mount", "dial", "listen", "include", "limits"} <= set(schema["properties"])


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("check",),
        ("check", "--what"),
        ("kill",),
        ("exec",),
        ("ps", "extra"),
        ("schema", "x"),
    ],
)
def test_usage_errors_are_2_and_the_last_line_says_what(libos: Libos, words: tuple[str, ...]) -> None:
    done = libos(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("libos: ")


def test_libos_alone_prints_its_help_on_stderr(libos: Libos) -> None:
    done = libos()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == libos("--help").stdout


def test_help_names_every_command_in_a_line_of_80_columns(libos: Libos) -> None:
    text = libos("--help").stdout
    modules = {path.stem.removesuffix("_command") for path in Path(cli.__path__[0]).glob("*_command.py")}
    assert modules == {name.replace("-", "_") for name in COMMANDS}
    for section in SECTIONS.values():
        for name, line in section.items():
            assert re.search(rf"^  {name} +{re.escape(line)}$", text, re.MULTILINE), name
    assert max(map(len, text.splitlines())) <= 80


def test_the_version_is_the_packages(libos: Libos) -> None:
    from importlib.metadata import version

    assert libos("--version").stdout == f"libos {version('libos')}\n"


def test_a_reader_that_leaves_is_no_fault(libos: Libos) -> None:
    program = str(Path(sys.executable).parent / "libos")
    done = subprocess.run(
        ["sh", "-c", f"{program} schema | head -1; {program} schema > /dev/full"], capture_output=True
    )
    assert done.stdout == b"{\n"
    assert done.stderr == b"libos: standard output: No space left on device\n"
    assert done.returncode == 125


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_is_no_fault(libos: Libos, closed: str, tmp_path: Path) -> None:
    program = str(Path(sys.executable).parent / "libos")
    script = f"{program} check good.toml {closed}; echo $?; {program} frobnicate {closed}; echo $?"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["0", "2"]
    assert "Traceback" not in done.stderr


_SLOW = ("trio", "pyfuse3", "pydantic", "rich", "pyroute2", "dns", "pyseccomp", "asyncio", "pathspec")


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("ps",), set()),
        (("kill", "ghost"), set()),
        (("explain",), set()),
        (("run", "--", "true"), {"trio", "pyfuse3", "pyseccomp"}),
    ],
)
def test_a_command_imports_only_what_it_needs(
    words: tuple[str, ...], allowed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    program = (
        "import os, sys; end = os._exit\n"
        "def tell(status):\n"
        f"    print(*({_SLOW} & sys.modules.keys()), file=sys.stderr, flush=True)\n"
        "    end(status)\n"
        "os._exit = tell\n"
        f"sys.argv = ['libos', *{words}]\n"
        "from libos.cli.main import main; main()"
    ).replace(f"{_SLOW}", f"set({_SLOW})")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert set(done.stderr.splitlines()[-1].split()) <= allowed


def test_an_option_of_another_tool_is_answered_with_what_says_the_same(libos: Libos) -> None:
    done = libos("run", "--rm", "--network=none", "--", "true")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        f"libos: there is no --rm here: {ELSEWHERE['--rm']}",
    )
    assert "-v SRC:AT:rw" in libos("run", "--bind", "/a", "/b", "ls", "-l").stderr
    assert "No such option" in libos("check", "--rm").stderr


def test_what_other_tools_have_is_no_option_here_and_the_answer_names_options_that_are() -> None:
    from libos.cli.run_command import command

    have = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    assert not have & set(ELSEWHERE)
    for option, text in ELSEWHERE.items():
        named = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text.replace("libos up -d", ""))
        assert set(named) <= have, option
