"""Random operations, against a model of Plan 9's own mount table; and text that recreates what they made."""

from __future__ import annotations

import posixpath

from hypothesis import event, given
from hypothesis import strategies as st
from namespace.plan9 import TREES, Channel, Plan9, RefusedError

from libos.namespace import HostSource, Source
from libos.namespace.building import Building, replayed, view
from libos.namespace.errors import NamespaceError
from libos.namespace.operations import Bind, Operation, Unmount
from libos.namespace.reading import read
from libos.namespace.table import There, look_at_values

# The model's root stands here: in libos a plain directory is one of a mounted tree.
TOP = "/r"


def look(source: Source, below: str) -> There:
    """The trees of the model, as directories of the host."""
    if not isinstance(source, HostSource):
        return look_at_values(source, below)
    tree, _, path = source.path.strip("/").partition("/")
    whole = posixpath.normpath(posixpath.join(path, below)) if path or below else ""
    if tree not in TREES:
        return There.ABSENT
    if whole in ("", ".") or whole + "/" in TREES[tree]:
        return There.DIRECTORY
    return There.FILE if whole in TREES[tree] else There.ABSENT


def ours(name: str) -> str:
    """A name of the model as libos writes it."""
    return f"#host/{name[1:]}" if name.startswith("#") else TOP + name


def apply_to_model(model: Plan9, operation: Operation) -> None:
    if isinstance(operation, Bind):
        model.bind(operation.new, operation.old, operation.flags)
    elif isinstance(operation, Unmount):
        model.unmount(operation.new, operation.old)


def apply_to_libos(building: Building, operation: Operation) -> None:
    if isinstance(operation, Bind):
        # Without -c libos gives read-only; -w is what Plan 9 does: all is as it was, but nothing is created.
        flags = operation.flags if "c" in operation.flags else operation.flags + "w"
        building.apply(Bind(ours(operation.new), ours(operation.old), flags))
    elif isinstance(operation, Unmount):
        building.apply(Unmount(ours(operation.old), None if operation.new is None else ours(operation.new)))


PLACES = st.sampled_from(["/a", "/b", "/c", "/d"])
SOURCES = st.one_of(
    PLACES,
    st.sampled_from(["/a/x", "/b/x/deep", "/c/f", "/d/nowhere", "#one", "#two", "#one/x", "#one/f", "#ram"]),
)
FLAGS = st.sampled_from(["", "a", "b", "c", "ac", "bc"])
OPERATIONS = st.lists(
    st.one_of(
        st.builds(Bind, SOURCES, PLACES, FLAGS),
        st.builds(Bind, SOURCES, PLACES, FLAGS),
        st.builds(Unmount, PLACES, st.none() | SOURCES),
    ),
    max_size=12,
)


def started() -> tuple[Plan9, Building]:
    building = Building(look)
    building.apply(Bind("#host/root", TOP, "c"))
    return Plan9(), building


def channels(building: Building, path: str) -> list[Channel]:
    """What stands at a name of libos's table, in the model's words."""
    found = []
    for element in building.table.resolve(TOP + path):
        assert isinstance(element.source, HostSource)
        whole = posixpath.normpath(posixpath.join(element.source.path, element.below)).strip("/")
        tree, _, below = whole.partition("/")
        found.append((tree, below))
    return found


def creating(building: Building, path: str) -> Channel | None:
    for index, element in enumerate(building.table.places.get(TOP + path, ())):
        if element.creates:
            return channels(building, path)[index]
    return None


@given(OPERATIONS)
def test_libos_does_what_plan_9_does(operations: list[Operation]) -> None:
    model, building = started()
    for operation in operations:
        try:
            apply_to_model(model, operation)
            refused = False
        except RefusedError:
            refused = True
        event(f"{type(operation).__name__} {'refused' if refused else 'done'}")
        before = view(building.table)
        try:
            apply_to_libos(building, operation)
            assert not refused, operation
        except NamespaceError as error:
            assert refused, (operation, error)
            assert view(building.table) == before
        for place in ("/a", "/b", "/c", "/d"):
            assert channels(building, place) == model.walk(place)[1]
            assert creating(building, place) == model.creates_in(place)
        for name in ("/a/x", "/b/x/deep", "/c/f", "/d/g", "/a/x/other"):
            try:
                wanted = model.walk(name)[1]
            except RefusedError:
                wanted = None
            try:
                got = channels(building, name)
            except NamespaceError:
                got = None
            assert got == wanted, name


@given(OPERATIONS)
def test_the_text_of_any_namespace_recreates_it(operations: list[Operation]) -> None:
    _, building = started()
    for operation in operations:
        try:
            apply_to_libos(building, operation)
        except NamespaceError:
            continue
    wanted = view(building.table)
    namespace = building.namespace()
    assert view(replayed(namespace, look)) == wanted
    again = read(namespace.text(), look=look)
    assert view(again.table) == wanted
    assert again.namespace().text() == namespace.text()
