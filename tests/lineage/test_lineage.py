"""The lineage's examples: each claim of each check holds, and falls when it is taken away.

Pages and checks agree on what is claimed. For which systems both ways are part of `make test` says QUICK.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

LINEAGE = Path(__file__).parent.parent.parent / "examples/lineage"
# What a test that cannot run here ends with, by the convention of Automake; see examples/lineage/__main__.py.
MISSING = 77


def order() -> list[str]:
    """ORDER of examples/lineage/claims.py, which says what there is."""
    for node in ast.parse((LINEAGE / "claims.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ORDER":
            return list(ast.literal_eval(node.value))
    raise AssertionError("claims.py has no ORDER")


SYSTEMS = order()
# Both ways take these a second or two; the others, and all as root, are soak.
QUICK = [
    *("chroot", "plan9", "jail", "openvz", "warden", "lmctfy", "keykos", "tcsec"),
    *("jvm", "capabilities", "selinux", "seccomp", "nacl", "capsicum", "exokernel", "zerovm"),
    *("dune", "drawbridge", "coreos", "rump"),
]


def pages() -> list[str]:
    """The systems to which the table of the README leads, in its order."""
    return re.findall(r"^\| \[[^]]+\]\((\w+)/README\.md\) \|", (LINEAGE / "README.md").read_text(), re.M)


def test_each_folder_has_its_place_in_the_order() -> None:
    assert sorted(path.parent.name for path in LINEAGE.glob("*/check.py")) == sorted(SYSTEMS)


def test_the_page_lists_them_in_the_same_order() -> None:
    assert pages() == SYSTEMS


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_page_says_what_is_truthful_and_what_is_only_an_analogy(system: str) -> None:
    text = (LINEAGE / system / "README.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings == ["What runs here", "Truthful", "Only an analogy", "Try"]
    assert "**The idea.**" in text
    assert re.search(r"\*\*Where from\.\*\* .*\b(19|20)\d\d\b", text, re.S)


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_page_names_every_property(system: str) -> None:
    text = (LINEAGE / system / "README.md").read_text()
    listed = re.findall(r"^\| `(\w+)`: ", text, re.M)
    tree = ast.parse((LINEAGE / system / "check.py").read_text())
    claimed = next(
        [ast.literal_eval(key) for key in node.value.keys if key]
        for node in tree.body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "PROPERTIES"
        and isinstance(node.value, ast.Dict)
    )
    assert listed == claimed


def check(as_user: Account, *arguments: str, lineage: Path = LINEAGE) -> tuple[int, list[dict[str, Any]]]:
    """What the checks end with, and what they say."""
    done = as_user.run(as_user.python(str(lineage), *arguments, "--json"), timeout=300)
    assert done.returncode in (0, 1, MISSING), done.stdout + done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.system
@pytest.mark.timeout(320)
@pytest.mark.soak_accounts("root")
@pytest.mark.parametrize(
    "system",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.soak) for name in SYSTEMS],
)
def test_each_property_holds_and_falls_when_it_is_taken_away(as_user: Account, system: str) -> None:
    status, verdicts = check(as_user, system, "--both-ways")
    if status == MISSING:
        pytest.skip(f"{system}: {next(each['saw'] for each in verdicts if each['outcome'] == 'missing')}")
    wrong = [each for each in verdicts if each["outcome"] != ("fails" if each["without"] else "holds")]
    assert (status, wrong) == (0, [])
    held = [each["name"] for each in verdicts if each["outcome"] == "holds"]
    fell = [each["without"] for each in verdicts if each["outcome"] == "fails"]
    assert held == fell != []


@pytest.mark.system
@pytest.mark.accounts("user")
def test_a_property_that_is_taken_away_is_a_failure(as_user: Account) -> None:
    status, verdicts = check(as_user, "chroot", "--without", "boundary")
    assert status == 1
    assert [each["name"] for each in verdicts if each["outcome"] == "fails"] == ["boundary"]


@pytest.mark.system
@pytest.mark.accounts("user")
@pytest.mark.parametrize(
    ("old", "new", "way", "outcome", "saw"),
    [
        ('lambda saw: saw["in the world"] !=', 'lambda saw: "" !=', ["--both-ways"], "holds", "in the world"),
        (
            '"root": {"in the world"',
            '"rout": {"in the world"',
            ["--without", "root"],
            "broken",
            "it observes",
        ),
        ("with scratch() as", "with scratches() as", ["--without", "root"], "broken", "NameError"),
    ],
    ids=["a predicate that is always true", "a property that is not observed", "an error in the check"],
)
def test_a_check_that_proves_nothing_is_a_fault(
    as_user: Account, old: str, new: str, way: list[str], outcome: str, saw: str
) -> None:
    lineage = Path(shutil.copytree(LINEAGE, as_user.folder / "lineage"))
    text = (lineage / "chroot/check.py").read_text()
    assert text.count(old) == 1
    (lineage / "chroot/check.py").write_text(text.replace(old, new))
    status, verdicts = check(as_user, "chroot", *way, lineage=lineage)
    assert status == 1
    taken = next(each for each in verdicts if each["without"] == "root")
    assert taken["outcome"] == outcome
    assert saw in str(taken["saw"])


@pytest.mark.system
@pytest.mark.accounts("user")
def test_what_the_host_lacks_is_77_and_said(as_user: Account) -> None:
    lineage = Path(shutil.copytree(LINEAGE, as_user.folder / "lineage"))
    text = (lineage / "probing.py").read_text()
    assert text.count('["unshare", ') == 1
    (lineage / "probing.py").write_text(text.replace('["unshare", ', '["no-such-program", '))
    status, verdicts = check(as_user, "chroot", lineage=lineage)
    assert status == MISSING
    assert verdicts[0]["saw"] == "there is no no-such-program here: install the package that has it"


@pytest.mark.parametrize(
    "arguments",
    [["chroots"], ["chroot", "--without", "walls"], ["--without", "nothing"], ["--without", "x", "--list"]],
    ids=" ".join,
)
@pytest.mark.system
@pytest.mark.accounts("user")
def test_what_cannot_be_asked_is_2(as_user: Account, arguments: list[str]) -> None:
    done = as_user.run(as_user.python(str(LINEAGE), *arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert "error: " in done.stderr.splitlines()[-1]
