"""The mount table: each fact of bind(1), bind(2) and port/chan.c, and what is refused."""

from __future__ import annotations

import pytest
from namespace.test_against_plan9 import look

from libos.namespace import HostSource, MemorySource, Mode, Mount, NodeSource, Order, TextSource
from libos.namespace.building import Building, view
from libos.namespace.errors import (
    AbsentError,
    CreationError,
    GrammarError,
    InconsistentMountError,
    NamespaceError,
    NotInUnionError,
    NotMountedError,
    OrderError,
    PlaceError,
    StillBoundError,
)
from libos.namespace.layers import Audited, Hide
from libos.namespace.operations import Bind, Chdir, Clear, Lay, MountServer, Operation, Place, Unmount

ONE, TWO = "#host/one", "#host/two"


def built(*operations: Operation) -> Building:
    building = Building(look)
    for operation in operations:
        building.apply(operation)
    return building


def shown(building: Building, path: str) -> list[str]:
    """What stands at a path: the source's path with what is below it; + where things are created."""
    elements = building.table.resolve(path)
    where = []
    for each in elements:
        source = each.source
        name = source.path if isinstance(source, HostSource) else type(source).__name__
        where.append(f"{name}{'/' + each.below if each.below else ''}{'+' if each.creates else ''}")
    return where


def refused(building: Building, operation: Operation, error: type[NamespaceError], text: str) -> None:
    """The operation is refused with this class of error, and nothing of it is done."""
    before, log = view(building.table), building.namespace().text()
    with pytest.raises(NamespaceError, match=text) as caught:
        building.apply(operation)
    assert type(caught.value) is error
    assert (view(building.table), building.namespace().text()) == (before, log)


def test_before_and_after_put_elements_around_what_is_there() -> None:
    building = built(Bind(ONE, "/u"), Bind(TWO, "/u", "a"), Bind("#host/ram", "/u", "bc"))
    assert shown(building, "/u") == ["/ram+", "/one", "/two"]


def test_a_second_bind_on_one_name_goes_to_the_same_union_and_no_flag_drops_it() -> None:
    building = built(Bind(ONE, "/u"), Bind(TWO, "/u", "a"), Bind("#host/ram", "/u"))
    assert shown(building, "/u") == ["/ram"]


def test_the_plain_directory_of_a_new_union_is_not_creatable_and_a_mounted_one_stays_so() -> None:
    building = built(Bind("#host/root", "/r", "c"), Bind(ONE, "/r/a", "a"))
    assert shown(building, "/r/a") == ["/root/a", "/one"]
    assert building.table.places["/r/a"][0].mode is Mode.READ_WRITE  # its files stay what they are
    assert shown(built(Bind(ONE, "/u", "c"), Bind(TWO, "/u", "a")), "/u") == ["/one+", "/two"]


def test_joining_where_nothing_is_makes_a_list_of_one() -> None:
    assert shown(built(Bind(ONE, "/u", "a")), "/u") == ["/one"]


def test_new_is_looked_up_when_its_turn_comes() -> None:
    building = built(Bind(ONE, "/u"), Bind("/u", "/v"), Bind(TWO, "/u", "b"), Bind("#host/ram", "/w"))
    assert shown(building, "/v") == ["/one"]
    assert shown(building, "/u") == ["/two", "/one"]


def test_binding_a_union_copies_its_elements_and_none_of_them_creates() -> None:
    building = built(Bind(ONE, "/u", "c"), Bind(TWO, "/u", "a"), Bind("/u", "/v", "w"))
    assert shown(building, "/u") == ["/one+", "/two"]
    assert shown(building, "/v") == ["/one", "/two"]
    building = built(*[Bind(ONE, "/u"), Bind(TWO, "/u", "a"), Bind("#host/ram", "/w"), Bind("/u", "/w", "b")])
    assert shown(building, "/w") == ["/one", "/two", "/ram"]


def test_create_is_refused_for_what_cannot_create() -> None:
    building = built(Bind(ONE, "/u", "c"), Bind(TWO, "/u", "ac"), Bind(ONE, "/ro"), Bind(ONE, "/w", "w"))
    refused(building, Bind("/u", "/v", "c"), CreationError, '"/u" is a union')
    refused(building, Bind("/ro", "/v", "c"), CreationError, '"/ro" is read-only there')
    refused(building, Bind("/w", "/v", "c"), CreationError, 'nothing can be created in "/w" itself')
    assert shown(built(Bind(ONE, "/u", "c"), Bind("/u", "/v", "c")), "/v") == ["/one+"]
    assert shown(built(Bind(ONE, "/u", "c"), Bind("/u/x", "/v", "c")), "/v") == ["/one/x+"]


def test_a_bind_without_c_or_w_is_read_only_and_no_bind_gains() -> None:
    building = built(Bind(ONE, "/u", "c"), Bind("/u", "/v"), Bind("/v", "/w", "w"))
    assert [building.table.places[at][0].mode for at in ("/u", "/v", "/w")] == [
        Mode.READ_WRITE,
        Mode.READ_ONLY,
        Mode.READ_ONLY,
    ]


def test_the_first_name_decides_and_there_is_no_way_back() -> None:
    building = built(Bind(ONE, "/u"), Bind(TWO, "/u", "a"))
    assert shown(building, "/u/x/deep") == ["/one/x/deep"]
    assert shown(building, "/u/z") == ["/two/z"]
    refused(building, Bind("/u/x/other", "/v"), AbsentError, '"/u/x/other" is not in the namespace')


def test_mounts_below_a_bound_directory_come_along_and_later_ones_do_not() -> None:
    building = built(Bind(ONE, "/u"), Bind(TWO, "/u/x"), Bind("/u", "/v"), Bind("#host/ram", "/u/y"))
    assert shown(building, "/v/x") == ["/two"]
    assert shown(building, "/v/y") == ["/one/y"]


def test_replacing_covers_what_is_below() -> None:
    building = built(Bind(ONE, "/u"), Bind(TWO, "/u/x"), Bind("#host/ram", "/u"))
    assert list(building.table.places) == ["/u"]
    assert building.namespace().text() == "bind '#host/ram' /u\n"


def test_a_directory_that_only_leads_to_mounts_can_be_bound() -> None:
    building = built(Bind(ONE, "/m/a"), Bind(TWO, "/m/b/c"), Bind("/m", "/n"))
    assert shown(building, "/n/a") == ["/one"]
    assert shown(building, "/n/b/c") == ["/two"]


def test_files_go_on_files_and_directories_on_directories() -> None:
    building = built(Bind(ONE, "/u"), MountServer("#text", "/t", "x"))
    refused(building, Bind("#host/one/f", "/u"), InconsistentMountError, "inconsistent mount")
    refused(building, Bind(ONE, "/t"), InconsistentMountError, "inconsistent mount")
    refused(building, Bind("#host/one/f", "/u/x"), InconsistentMountError, "inconsistent mount")
    building.apply(Bind("#host/one/f", "/t"))
    assert shown(building, "/t") == ["/one/f"]


@pytest.mark.parametrize("flag", ["a", "b"])
def test_orders_are_for_directories(flag: str) -> None:
    building = built(Bind(ONE, "/u"), MountServer("#text", "/t", "x"))
    refused(building, Bind("#host/one/f", "/u", flag), OrderError, "-a and -b are for directories")
    refused(building, Bind(ONE, "/t", flag), OrderError, "-a and -b are for directories")


def test_unmounting_all_and_one() -> None:
    building = built(Bind("#host/root", "/r", "c"), Bind(ONE, "/r/a", "b"), Bind(TWO, "/r/a", "a"))
    building.apply(Unmount("/r/a", ONE))
    assert shown(building, "/r/a") == ["/root/a", "/two"]
    building.apply(Unmount("/r/a", TWO))
    assert shown(building, "/r/a") == ["/root/a"]  # the original, a union of one
    assert "/r/a" in building.table.places
    building.apply(Unmount("/r/a"))
    assert "/r/a" not in building.table.places


def test_the_first_of_two_equal_elements_is_unmounted() -> None:
    building = built(Bind(ONE, "/u", "c"), Bind(TWO, "/u", "a"), Bind(ONE, "/u", "aw"))
    building.apply(Unmount("/u", ONE))
    assert shown(building, "/u") == ["/two", "/one"]


def test_unmounting_what_is_not_there() -> None:
    building = built(Bind(ONE, "/u"))
    refused(building, Unmount("/v"), NotMountedError, 'nothing is mounted at "/v"')
    refused(building, Unmount("/u/x"), NotMountedError, 'nothing is mounted at "/u/x"')
    refused(building, Unmount("/u", TWO), NotInUnionError, "is not among what is mounted")


def test_unmounting_leaves_what_was_bound_from_there() -> None:
    building = built(Bind(ONE, "/u"), Bind("/u/x", "/v"), Unmount("/u"))
    assert building.namespace().text() == "bind '#host/one/x' /v\n"
    building = built(MountServer("#memory", "/m", "64", "c"), Bind("/m", "/n", "c"), Unmount("/m"))
    assert building.namespace().text() == "mount -c '#memory' /n 64\n"


def test_what_no_text_could_say_is_not_unmounted() -> None:
    memory = MountServer("#memory", "/m", "64", "c")
    building = built(memory, Bind(ONE, "/a"), Bind("/m", "/a", "a"), Bind(TWO, "/b"), Bind("/m", "/b", "a"))
    refused(building, Unmount("/m"), StillBoundError, "bound elsewhere too")


def test_clear_takes_all_away() -> None:
    building = built(Bind(ONE, "/u"), Chdir("/u"), Clear())
    assert building.table.places == {}
    assert building.directory == "/"


def test_relative_names_begin_at_the_working_directory() -> None:
    building = built(Bind(ONE, "/u"), Chdir("/u"), Chdir("x/../x"), Bind("deep", "../y"))
    assert building.directory == "/u/x"
    assert shown(building, "/u/y") == ["/one/x/deep"]


def test_cd_goes_to_directories_that_are_there() -> None:
    building = built(Bind(ONE, "/u"))
    refused(building, Chdir("/u/nowhere"), AbsentError, "is not in the namespace")
    refused(building, Chdir("/u/f"), InconsistentMountError, "is a file: cd takes a directory")
    refused(building, Chdir("/v"), AbsentError, "is not in the namespace")


@pytest.mark.parametrize("at", ["/", "/proc", "/proc/x", "/dev/null"])
def test_places_that_are_not_for_mounting(at: str) -> None:
    refused(built(), Bind(ONE, at), PlaceError, "nothing can be mounted at")


def test_what_init_makes_cannot_be_bound() -> None:
    refused(built(), Bind("/proc/self", "/x"), PlaceError, "is made when all is mounted")


def test_optional_and_absent_is_left_out() -> None:
    building = built(Bind("#host/nowhere", "/u", "q"), Bind("/nowhere", "/v", "q"))
    assert building.table.places == {}
    refused(building, Bind("/nowhere", "/v"), AbsentError, "is not in the namespace")


def test_layers_lie_over_what_was_mounted_last() -> None:
    building = built(Bind(ONE, "/u"), Lay("/u", Hide(("*.pem",))), Lay("/u", "revocable"), Bind("/u", "/v"))
    (mount, bound) = building.namespace().mounts
    assert (mount.layers, mount.revocable, bound.layers) == ((Hide(("*.pem",)),), True, ())
    building.apply(Lay("/v", Audited()))
    (element,) = building.table.places["/v"]
    assert (element.mount.layers, element.over) == ((Hide(("*.pem",)),), (Audited(),))
    refused(building, Lay("/w", Audited()), NotMountedError, "nothing is mounted")
    refused(building, Bind("/v/x", "/w"), PlaceError, "was bound with layers")


def test_a_mount_given_as_a_value_is_applied_like_a_line() -> None:
    mount = Mount("/u", MemorySource(64), Mode.READ_WRITE, order=Order.AFTER)
    building = built(Bind(ONE, "/u"), Place(mount), Place(Mount("/t", TextSource("x"))))
    assert shown(building, "/u") == ["/one", "MemorySource+"]
    text: NodeSource = NodeSource(None)  # type: ignore[arg-type]
    building.apply(Place(Mount("/n", text)))
    assert building.namespace().mounts[-1].source is text


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (Bind("#kprint", "/x"), 'the device "#kprint" cannot be bound'),
        (MountServer("#nope", "/x", ""), 'the device "#nope" is not known'),
        (MountServer("/srv/boot", "/x", ""), 'the device "/srv/boot" is not known'),
        (MountServer("#memory", "/x", "1G"), "a number of bytes"),
        (MountServer("#bytes", "/x", "?"), "base64"),
        (MountServer("#cow", "/x", "rel"), "no absolute path of the host"),
        (MountServer("#node", "/x", "N"), "cannot be made from text"),
        (Bind("#host/a\0b", "/x"), "NUL"),
        (Bind("/a\0b", "/x"), "NUL"),
    ],
)
def test_what_says_nothing_that_can_be_mounted(operation: Operation, text: str) -> None:
    refused(built(), operation, GrammarError, text)
