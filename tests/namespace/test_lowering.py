"""Unions and binds lowered, by comparing plans: the host is a table of paths."""

from __future__ import annotations

import json

import pytest
from plans import TABLE

from libos.errors import ManifestError
from libos.fs.memory import memory_tree
from libos.manifest import App, Manifest
from libos.namespace import (
    Audited,
    BoundSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    Order,
    Source,
    TextSource,
)
from libos.plan import Bind, BindServed, Part, Plan, Rebind, Served, Tmpfs, lower

USR, SRC = HostSource("/usr"), HostSource("/src")
MEMORY = MemorySource(1 << 20)


def mount(at: str, source: Source, order: str = "replace", mode: Mode = Mode.READ_ONLY) -> Mount:
    return Mount(at, source, mode, order=Order(order), origin="a.ns:1:1")


def plan(*mounts: Mount) -> Plan:
    return lower(Namespace(mounts), TABLE)


def error(*mounts: Mount) -> str:
    with pytest.raises(ManifestError) as caught:
        plan(*mounts)
    return str(caught.value)


def host_part(path: str) -> Part:
    return Part(Served("/u", HostSource(path)))


def test_a_union_is_served_where_its_first_element_stood() -> None:
    made = plan(mount("/u", USR), mount("/u", SRC, "before"))
    assert made.steps == ()
    union = Served("/u", BoundSource("/u"), elements=(host_part("/src"), host_part("/usr")))
    assert made.served[0] == union
    assert [line.mechanism for line in made.lines[:2]] == ["served", "served"]
    assert made.lines[0].reason.startswith("a union of 2 directories: the kernel has none")
    assert made.namespace.mounts[:2] == (mount("/u", USR), mount("/u", SRC, "before"))


def test_joining_where_nothing_is_is_a_plain_mount() -> None:
    assert plan(mount("/u", USR, "after")).steps == (Bind("/u", "/usr", read_only=True, directory=True),)


def test_mounts_in_a_union_stand_on_it_although_it_grew_later() -> None:
    made = plan(mount("/u", USR), mount("/u/local", MEMORY, mode=Mode.READ_WRITE), mount("/u", SRC, "after"))
    assert made.steps == (Tmpfs("/u/local", 1 << 20, 0o755),)
    assert made.served[0].slot is None
    inside = plan(mount("/u", USR), mount("/u/bin", SRC, "before"))
    assert inside.steps[1:] == (BindServed("/u/bin", 0, directory=True),)
    assert inside.served[0].elements == (host_part_at("/u/bin", "/src"), host_part("/usr/bin"))


def host_part_at(at: str, path: str) -> Part:
    return Part(Served(at, HostSource(path)))


def test_what_a_union_shows_too_is_one_node() -> None:
    made = plan(
        mount("/m", MEMORY, mode=Mode.READ_WRITE),
        mount("/u", SRC),
        mount("/u", BoundSource("/m"), "after", Mode.READ_WRITE),
    )
    assert made.steps == ()
    memory, union = made.served[:2] if made.served[0].at == "/m" else (made.served[1], made.served[0])
    assert memory == Served("/m", MEMORY, writable=True, share=0)
    assert union.elements[1] == Part(memory, creatable=True)
    assert made.lines[0].reason == "a union shows it too, so one server answers for both"


def test_a_bind_is_made_by_init_in_its_turn() -> None:
    made = plan(mount("/u", USR), mount("/b", BoundSource("/u/bin")), mount("/s", BoundSource("/")))
    assert made.steps[1:] == (
        Rebind("/b", "/u/bin", read_only=True, directory=True),
        Rebind("/s", "/", read_only=True, directory=True),
    )
    assert made.lines[1].asked == "bind /u/bin, read-only"


def test_the_links_on_the_way_of_a_bind_are_followed_as_the_world_follows_them() -> None:
    made = plan(mount("/usr", USR), mount("/src", SRC), mount("/b", BoundSource("/src/link/bin")))
    assert made.steps[2] == Rebind("/b", "/usr/bin", read_only=True, directory=True)
    assert '"/src/link" is a link that leads to nothing' in error(
        mount("/src", SRC), mount("/b", BoundSource("/src/link"))
    )


def test_after_a_bind_a_union_stands_over_what_was_bound() -> None:
    made = plan(mount("/u", USR), mount("/b", BoundSource("/u")), mount("/u", SRC, "before"))
    assert [type(step) for step in made.steps] == [Bind, Rebind, BindServed]
    assert made.steps[2].at == "/u"
    assert "it would cover" in error(
        mount("/u", USR),
        mount("/u/local", MEMORY, mode=Mode.READ_WRITE),
        mount("/b", BoundSource("/u/bin")),
        mount("/u", SRC, "before"),
    )


def test_what_replaces_covers_what_is_below_and_stands_over_it() -> None:
    made = plan(mount("/u/x", USR), mount("/u", SRC), mount("/u/sub", MEMORY, mode=Mode.READ_WRITE))
    assert [step.at for step in made.steps] == ["/u/x", "/u", "/u/sub"]
    served = plan(mount("/u/x", USR), mount("/u", NodeSource(memory_tree())))
    assert served.steps[1] == BindServed("/u", 0, directory=True)
    assert ("/u", True) in served.points


@pytest.mark.parametrize(
    ("mounts", "text"),
    [
        ([mount("/b", BoundSource("/x"))], '"/x" is not in the namespace when this is bound'),
        ([mount("/u", USR), mount("/u", HostSource("/file"), "after")], "-a and -b are for directories"),
        ([mount("/u", USR), mount("/u", TextSource("x"))], "inconsistent mount"),
        ([mount("/m/x", USR), mount("/u", SRC), mount("/u", BoundSource("/m"), "after")], "only leads to"),
        (
            [mount("/n", NodeSource(memory_tree())), mount("/b", BoundSource("/n/x"))],
            'only running code knows what "/n/x" is',
        ),
        (
            [mount("/t", TextSource("x")), Mount("/b", BoundSource("/t"), layers=(Audited(),))],
            '"/t" is a file, and only a directory is bound with -w or layers',
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_lowered(mounts: list[Mount], text: str) -> None:
    assert text in error(*mounts)


def test_changes_that_only_a_union_shows_cannot_be_kept() -> None:
    cow = mount("/u", SRC, mode=Mode.COPY_ON_WRITE)
    keep = App(command=("x",), keep="k")
    with pytest.raises(ManifestError, match='an element of the union at "/u" would be lost'):
        lower(Manifest(keep, (cow, mount("/u", USR, "after"))), TABLE)
    bound = mount("/v", BoundSource("/u"), "after", Mode.READ_WRITE)
    assert lower(Manifest(keep, (cow, mount("/v", USR), bound)), TABLE).copied == (("/u", "/src"),)


def test_the_json_form_has_the_elements() -> None:
    made = plan(mount("/u", USR), mount("/u", SRC, "before"), mount("/b", BoundSource("/u")))
    form = json.loads(json.dumps(made.json()))
    assert form["served"][0]["elements"] == [
        {"source": {"kind": "host", "path": path}, "below": "", "creatable": False, "writable": False}
        for path in ("/src", "/usr")
    ]
    assert form["steps"][0]["step"] == "rebind"
