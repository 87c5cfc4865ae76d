"""Whatever a program does, in whatever order: what is hidden or refused is neither read, nor lost."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Callable, Iterator

import trio
from conformance.files import Calls
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layers.tree import Tree

from libos.fs.layers import Layer, layered
from libos.fs.layers.asking import Ask, Question
from libos.fs.layers.hiding import Hide
from libos.fs.layers.showing import Only

NAMES = [b"a", b"b", b"k.pem"]
PATHS = [b"/".join(names) for depth in (1, 2, 3) for names in itertools.product(NAMES, repeat=depth)]
PATTERNS = ["*.pem", "/a/k.pem", "a/", "/b/**/k.pem", "/a/*/a", "!/a/k.pem", "b", "!a/", "/*"]

path = st.sampled_from(PATHS)
top = st.sampled_from(NAMES)
Change = tuple[str, tuple[object, ...]]
change: st.SearchStrategy[Change] = st.one_of(
    st.tuples(st.just("mkdir"), st.tuples(path)),
    st.tuples(st.just("put"), st.tuples(path, st.just(b"mine"))),
    st.tuples(st.just("unlink"), st.tuples(path)),
    st.tuples(st.just("rmdir"), st.tuples(path)),
    st.tuples(st.just("link"), st.tuples(path, path)),
    st.tuples(st.just("symlink"), st.tuples(path, path)),
    *(
        st.tuples(st.just("rename"), st.tuples(each, path, st.sampled_from([0, 1, 2])))
        for each in (path, top)
    ),
)


async def fill(tree: Tree, paths: list[bytes], secret: Callable[[bytes], bool]) -> int:
    """Makes files and the directories above them; how many are secret."""
    for path in paths:
        try:
            names = path.split(b"/")
            for depth in range(1, len(names)):
                try:
                    await tree.outside.mkdir(b"/".join(names[:depth]))
                except FileExistsError:
                    pass
            await tree.outside.put(path, b"secret" if secret(path) else b"open")
        except OSError:
            pass  # a file is in the way, or a directory
    return await count_secrets(tree)


async def everything(files: Calls, top: bytes = b"") -> list[tuple[bytes, bytes, bool]]:
    """Each name below a directory that leads to a file: its content, and whether by a symbolic link."""
    found = []
    for name in await files.listdir(top):
        here = top + b"/" + name if top else name
        try:
            kind = stat.S_IFMT((await files.lstat(here))["mode"])
            if kind == stat.S_IFDIR:
                found += await everything(files, here)
            else:
                found.append((here, await files.get(here), kind == stat.S_IFLNK))
        except OSError:
            pass  # refused, or a link that leads nowhere
    return found


async def secrets_of(tree: Tree) -> set[bytes]:
    """The names that lead to a secret in the tree itself."""
    return {
        here for here, text, by_link in await everything(tree.outside) if text == b"secret" and not by_link
    }


async def count_secrets(tree: Tree) -> int:
    return len(await secrets_of(tree))


async def attack(tree: Tree, changes: list[Change]) -> None:
    for operation, arguments in changes:
        try:
            await getattr(tree.inside, operation)(*arguments)
        except OSError:
            pass


def above(path: bytes) -> Iterator[bytes]:
    names = path.split(b"/")
    return (b"/".join(names[:depth]) for depth in range(1, len(names)))


def hidden(layer: Layer, path: bytes) -> bool:
    return layer.hides(path, False) or any(layer.hides(each, True) for each in above(path))


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from([Hide, Only]),
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3),
    st.lists(path, min_size=3, max_size=8),
    st.lists(change, min_size=2, max_size=12),
)
@example(Hide, ["/a/k.pem"], [b"a/k.pem"], [("rename", (b"a", b"b", 0))])
@example(Hide, ["*.pem", "!/a/k.pem"], [b"b/k.pem"], [("rename", (b"b", b"a", 0))])
@example(Only, ["*.pem"], [b"a/k.pem/a", b"b/a/a"], [("rename", (b"b", b"a/k.pem/b", 0))])
def test_nothing_brings_a_hidden_file_to_light_or_takes_it_away(
    kind: type[Hide], patterns: list[str], paths: list[bytes], changes: list[Change]
) -> None:
    async def run() -> None:
        layer = kind(patterns)
        tree = Tree(lambda node: layered(node, layer))
        secrets = await fill(tree, paths, lambda path: hidden(layer, path))
        await attack(tree, changes)
        for here, text, _ in await everything(tree.inside):
            assert text != b"secret", (here, changes)
            assert not hidden(layer, here)
        assert await count_secrets(tree) == secrets

    trio.run(run)


@settings(max_examples=500, deadline=None)
@given(st.lists(path, min_size=3, max_size=8), st.lists(change, min_size=2, max_size=12))
def test_nothing_opens_a_refused_file_or_takes_it_away(paths: list[bytes], changes: list[Change]) -> None:
    async def run() -> None:
        refused = {path for path in paths if path.count(b"k") or path.endswith(b"a")}

        def answer(question: Question) -> None:
            # By what is there and not by the name: a person would look at it.
            question.give("no" if question.path in secret_paths else "always")

        tree = Tree(lambda node: layered(node, Ask(answer)))
        secrets = await fill(tree, paths, refused.__contains__)
        secret_paths = await secrets_of(tree)
        for operation, arguments in changes:
            await attack(tree, [(operation, arguments)])
            secret_paths = await secrets_of(tree)
        assert b"secret" not in [text for _, text, _ in await everything(tree.inside)]
        assert await count_secrets(tree) == secrets

    trio.run(run)
