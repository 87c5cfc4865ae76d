"""Hide and only: what matches is absent, whatever a program does to bring it to light."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conformance.files import EXCHANGE, refused
from layers.tree import Tree
from mounting import mounted

from libos.fs import layers
from libos.fs.layers.hiding import Hide
from libos.fs.layers.showing import Only


def hiding(*patterns: str) -> Tree:
    return Tree(lambda node: layers.hide(node, patterns))


async def test_a_hidden_name_is_absent_to_look_up_and_in_listings() -> None:
    tree = hiding("*.pem")
    await tree.outside.put(b"a.pem", b"secret")
    await tree.outside.put(b"a.txt", b"text")
    assert await tree.inside.listdir(b"") == [b"a.txt"]
    for operation in ("stat", "unlink", "get"):
        with refused(errno.ENOENT):
            await getattr(tree.inside, operation)(b"a.pem")
    with refused(errno.ENOENT):
        await tree.inside.rename(b"a.pem", b"b.txt", 0)
    with refused(errno.ENOENT):
        await tree.inside.link(b"a.pem", b"b.txt")
    assert await tree.outside.get(b"a.pem") == b"secret"


async def test_a_name_that_comes_later_is_hidden_too() -> None:
    tree = hiding("/new/**/.env")
    await tree.inside.mkdir(b"new")
    await tree.inside.mkdir(b"new/deep")
    await tree.outside.put(b"new/deep/.env", b"secret")
    assert await tree.inside.listdir(b"new/deep") == []
    with refused(errno.ENOENT):
        await tree.inside.stat(b"new/deep/.env")


async def test_making_a_hidden_name_is_eacces_and_makes_nothing() -> None:
    tree = hiding("x", "d/")
    await tree.inside.put(b"a")
    makers = {
        "put": (b"x",),
        "mkdir": (b"x",),
        "symlink": (b"a", b"x"),
        "link": (b"a", b"x"),
        "rename": (b"a", b"x", 0),
        "mknod": (b"x", 0o100644),
    }
    for operation, arguments in makers.items():
        with refused(errno.EACCES):
            await getattr(tree.inside, operation)(*arguments)
    with refused(errno.EACCES):
        await tree.inside.mkdir(b"d")
    assert await tree.outside.listdir(b"") == [b"a"]
    await tree.inside.put(b"d")  # `d/` is about directories alone


async def test_a_rename_of_its_directory_does_not_bring_a_hidden_file_to_light() -> None:
    tree = hiding("/secrets/*.pem")
    await tree.outside.mkdir(b"secrets")
    await tree.outside.mkdir(b"secrets/deep")
    await tree.outside.put(b"secrets/a.pem")
    await tree.inside.mkdir(b"other")
    with refused(errno.EXDEV):
        await tree.inside.rename(b"secrets", b"open", 0)
    with refused(errno.EXDEV):
        await tree.inside.rename(b"other", b"secrets", EXCHANGE)
    with refused(errno.EXDEV):
        await tree.inside.rename(b"secrets", b"other", EXCHANGE)
    await tree.inside.rename(b"secrets/deep", b"open", 0)  # nothing is hidden in there
    assert sorted(await tree.inside.listdir(b"")) == [b"open", b"other", b"secrets"]


async def test_patterns_without_a_place_hold_wherever_a_directory_goes() -> None:
    tree = hiding("*.pem", "**/.env")
    await tree.outside.mkdir(b"d")
    await tree.outside.put(b"d/a.pem")
    await tree.inside.rename(b"d", b"e", 0)
    assert await tree.inside.listdir(b"e") == []


async def test_a_directory_that_matches_only_does_not_take_in_what_was_hidden() -> None:
    tree = Tree(lambda node: layers.only(node, ["*.pem"]))
    await tree.inside.mkdir(b"k.pem")
    await tree.inside.mkdir(b"d")
    await tree.outside.put(b"d/secret")
    with refused(errno.EXDEV):
        await tree.inside.rename(b"d", b"k.pem/d", 0)
    await tree.outside.unlink(b"d/secret")
    await tree.inside.rename(b"d", b"k.pem/d", 0)


async def test_what_is_renamed_to_a_visible_name_is_the_visible_file_alone() -> None:
    tree = hiding("hidden")
    await tree.outside.put(b"hidden", b"secret")
    await tree.inside.put(b"seen", b"text")
    with refused(errno.ENOENT):
        await tree.inside.rename(b"seen", b"hidden", EXCHANGE)
    with refused(errno.EACCES):
        await tree.inside.rename(b"seen", b"hidden", 0)
    assert await tree.outside.get(b"hidden") == b"secret"


async def test_an_exclamation_mark_takes_back_and_names_need_no_utf_8() -> None:
    tree = hiding("*.key", "!public.key")
    await tree.outside.put(b"public.key")
    await tree.outside.put(b"\xff.key")
    await tree.outside.put(b"\xfe.txt")
    assert sorted(await tree.inside.listdir(b"")) == [b"public.key", b"\xfe.txt"]


async def test_only_shows_what_matches_and_the_way_to_it() -> None:
    tree = Tree(lambda node: layers.only(node, ["/src/lib/*.py", "/docs/"]))
    for directory in (b"src", b"src/lib", b"src/bin", b"docs", b"docs/deep", b"etc"):
        await tree.outside.mkdir(directory)
    for path in (b"src/a.py", b"src/lib/b.py", b"src/lib/b.txt", b"docs/deep/c", b"etc/passwd", b"d.py"):
        await tree.outside.put(path)
    seen = {path: sorted(await tree.inside.listdir(path)) for path in (b"", b"src", b"src/lib", b"docs/deep")}
    assert seen == {b"": [b"docs", b"src"], b"src": [b"lib"], b"src/lib": [b"b.py"], b"docs/deep": [b"c"]}
    with refused(errno.ENOENT):
        await tree.inside.stat(b"etc/passwd")
    with refused(errno.EACCES):
        await tree.inside.put(b"src/lib/new.txt")
    await tree.inside.put(b"src/lib/new.py")


async def test_only_a_kind_of_file_shows_every_directory() -> None:
    tree = Tree(lambda node: layers.only(node, ["*.md"]))
    await tree.outside.mkdir(b"d")
    await tree.outside.put(b"d/a.md")
    await tree.outside.put(b"d/a.txt")
    assert await tree.inside.listdir(b"d") == [b"a.md"]


@pytest.mark.parametrize("pattern", ["", "  ", "a\nb", "!", "# comment", "a\0b", 3])
def test_a_pattern_that_cannot_be_read_is_an_error_that_names_it(pattern: str) -> None:
    for layer in (Hide, Only):
        with pytest.raises(ValueError, match=r"pattern|comment"):
            layer(["*.ok", pattern])
    with pytest.raises(TypeError, match="not one string"):
        Hide("*.pem")


PATTERNS = [
    "*.pem",
    "/top",
    "build/",
    "a/**/z",
    "**/.env",
    "!keep.pem",
    "doc/*.txt",
    "x?[0-9]",
    r"\#odd",
    "deep/er/",
]
PATHS = [
    "a.pem", "d/keep.pem", "top", "d/top", "build", "d/build/x", "a/z", "a/b/c/z", "b/a/z", ".env", "d/.env",
    "doc/a.txt", "doc/b/a.txt", "d/doc/a.txt", "xy1", "xyz", "#odd", "deep/er/f", "deep/er", "z",
]  # fmt: skip


@pytest.mark.parametrize(
    "patterns",
    [
        PATTERNS,
        ["*.pem", "!d/"],
        ["/*", "!/d/", "!/doc/", "/doc/b"],
        ["d/*", "!d/keep.pem", "!d/e"],
        ["build", "!build/", "deep/**"],
        ["**/doc/**", "!*.txt"],
        ["[a-c]*", "!a/b/", "z "],
    ],
)
def test_patterns_are_read_as_git_reads_them(tmp_path: Path, patterns: list[str]) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("\n".join(patterns) + "\n")
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=tmp_path,
        input="\n".join(PATHS),
        capture_output=True,
        text=True,
    )
    ignored = set(done.stdout.replace('"', "").split("\n")) - {""}
    hide = Hide(patterns)

    def hidden(path: str) -> bool:
        """As a program meets it: a hidden directory takes with it what is below."""
        names = path.split("/")
        above = ("/".join(names[:depth]) for depth in range(1, len(names)))
        return hide.hides(os.fsencode(path), False) or any(
            hide.hides(os.fsencode(each), True) for each in above
        )

    assert {path for path in PATHS if hidden(path)} == ignored


LINKS = """
open("seen", "w").write("text")
os.symlink("hidden", "link"); os.symlink("seen", "good")
for path in ("hidden", "link", "d/../hidden"):
    try:
        open(path)
    except OSError as error:
        print(errno.errorcode[error.errno])
print(open("good").read(), sorted(os.listdir(".")))
"""


async def test_a_link_to_a_hidden_file_leads_nowhere() -> None:
    tree = hiding("hidden")
    await tree.outside.put(b"hidden", b"secret")
    await tree.inside.mkdir(b"d")
    async with mounted({"w": tree.root}) as mount:
        done = await mount.python(LINKS, directory="w")
        assert done.out.decode().split("\n") == [
            "ENOENT", "ENOENT", "ENOENT", "text ['d', 'good', 'link', 'seen']", "",
        ], done  # fmt: skip
        assert mount.faults == []


CHANGING = """
for turn in range(150):
    for each in range(20):
        open(f"seen-{each}", "w").close()
    for each in range(20):
        os.unlink(f"seen-{each}")
"""
LISTING = """
for turn in range(300):
    for name in os.listdir("."):
        assert name.startswith("seen"), name
    for entry in os.scandir("."):
        assert entry.name.startswith("seen"), entry.name
"""


async def test_listings_while_names_change_never_show_a_hidden_one() -> None:
    tree = hiding("hidden-*")
    for each in range(50):
        await tree.outside.put(b"hidden-%d" % each)
    async with mounted({"w": tree.root}) as mount:
        changing = await mount.start(
            sys.executable, "-I", "-S", "-c", "import os\n" + CHANGING, directory="w"
        )
        done = await mount.python(LISTING, directory="w")
        assert done.status == 0, done.err
        assert await changing.wait() == 0
        await changing.close()
        assert mount.faults == []
