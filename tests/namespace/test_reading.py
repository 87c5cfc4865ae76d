"""Files of namespace(6): strict names every wrong line, compat does what 9front does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespace.test_against_plan9 import look

from libos.namespace.building import Building
from libos.namespace.errors import GrammarError, IncludeError, NamespaceError, VariableError
from libos.namespace.reading import Reading, read


def strict(text: str, **variables: str) -> Building:
    return read(text, variables=variables, look=look)


def compat(text: str, **variables: str) -> Building:
    return read(text, mode=Reading.COMPAT, variables=variables, look=look)


def errors(text: str, name: str = "") -> list[str]:
    with pytest.raises(NamespaceError) as caught:
        read(text, look=look, name=name)
    return str(caught.value).splitlines()


def test_a_file_is_applied_from_its_first_line_to_its_last() -> None:
    building = strict(
        """
# a comment, and a blank line above
  bind #host/one /u
\tbind -a #host/two\t/u \r
bind '/u/x' '/it''s'
unmount #host/one /u
cd /u
mount -c #memory tmp 1000
"""
    )
    assert building.namespace().text(building.directory) == (
        "bind '#host/two' /u\nbind '#host/one/x' '/it''s'\nmount -c '#memory' /u/tmp 1000\ncd /u\n"
    )


def test_every_wrong_line_is_told_with_its_number_and_nothing_is_given() -> None:
    text = (
        "bind #host/one /u\nbind /u\nbind -z /u /v\nfrobnicate\n\nunmount /v\nbind -ab /u /v\n"
        "bind -cw /u /v\nclear now\nlayer /u nope\nlayer /u\nbind 'x /v\nbind $who /v\nchdev -r c\ncd -a /u"
    )
    assert errors(text, "my.ns") == [
        "my.ns:2: write bind [-abcqw] NEW OLD: 1 arguments stand here",
        "my.ns:3: the flag -z is not known: there are -a, -b, -c, -C, -q and -w",
        'my.ns:4: "frobnicate" is no operation: there are bind, mount, unmount, cd, clear, ., layer',
        'my.ns:6: nothing is mounted at "/v"',
        "my.ns:7: -a with -b is no order: bind before or after",
        "my.ns:8: -c lets things be created and -w does not: write one of them",
        "my.ns:9: write clear: 1 arguments stand here",
        'my.ns:10: no layer is named "nope": there are hide, only, append_only, audit, count, quota, ask, '
        "fault, label, type, exec, revocable, replaceable",
        "my.ns:11: write layer OLD NAME [ARGUMENT ...]",
        "my.ns:12: a quote is not closed: write '' for a quote inside quotes",
        "my.ns:13: the variable $who is not set: set it, or quote the dollar sign",
        'my.ns:14: "chdev" is no operation: there are bind, mount, unmount, cd, clear, ., layer',
        "my.ns:15: cd takes no flags: write cd DIRECTORY",
    ]
    assert errors("bind /u")[0].startswith("line 1: ")


def test_the_error_is_of_the_class_of_the_first_wrong_line() -> None:
    with pytest.raises(VariableError):
        strict("bind $x /y\nbind /y")
    with pytest.raises(GrammarError):
        strict("bind /y\nbind $x /y")


def test_many_wrong_lines_are_cut() -> None:
    told = errors("bad\n" * 80)
    assert len(told) == 51
    assert told[-1] == "and 30 more errors"


def test_compat_passes_over_what_it_cannot_do() -> None:
    text = (
        """bind #host/one /u
bind -q -z #host/two /u/x
bind /u
bind -ab #host/two /u
bind #host/two /nowhere/$unset/x extra
bind /nowhere /v
mount /srv/boot /root
chdev -r c
layer /u audit
. /no/such/file
unmount /v
cd /nowhere
bind #host/two /w
bind #host/one/f /w
bind #host/one /u/nothing/there
"""
        + "bind "
        + "a " * 14
    )
    building = compat(text)
    assert list(building.table.places) == ["/u", "/u/x", "/w"]
    assert building.directory == "/"


def test_the_directory_counts_in_compat_once_a_cd_was_absolute() -> None:
    relative, absolute = "bind #host/one /u\ncd u\n", "cd /u\ncd x\n"
    assert (strict(relative).directory, strict(relative).changed_directory) == ("/u", True)
    assert (compat(relative).directory, compat(relative).changed_directory) == ("/u", False)
    building = compat(relative + absolute)
    assert (building.directory, building.changed_directory) == ("/u/x", True)
    assert not strict("bind #host/one /u").changed_directory


def test_flags_are_read_as_by_arg_2() -> None:
    assert compat("bind -a -c -- #host/one /u").namespace().text() == "bind -ac '#host/one' /u\n"
    assert strict("bind -a -c #host/one /u").namespace().text() == "bind -ac '#host/one' /u\n"
    assert strict("bind -C #host/one /u").namespace().text() == "bind '#host/one' /u\n"


def test_variables() -> None:
    assert strict("bind #host/$tree /u/$user", tree="one", user="a b").namespace().text() == (
        "bind '#host/one' '/u/a b'\n"
    )
    assert compat("bind #host/$tree.x /u\nbind #host/one$none /v", tree="one").namespace().text() == (
        "bind '#host/one.x' /u\nbind '#host/one' /v\n"
    )


FILES = {
    "two.ns": "bind #host/two /two\ncd /two\n",
    "loop.ns": ". /inc/loop.ns\n",
    "bad.ns": "\nbind oops\n",
}


def included(text: str, mode: Reading = Reading.STRICT) -> Building:
    lines = [f"mount '#text' /inc/{name} '{body!r}'" for name, body in FILES.items()]
    head = "\n".join(line.replace("''", "'").replace('"', "'") for line in lines)
    return read(head + "\n" + text, mode=mode, look=look, name="main.ns")


def test_a_file_is_included_from_the_namespace_that_is_being_built() -> None:
    building = included(". /inc/two.ns\nbind x y")
    assert building.directory == "/two"
    assert "/two/y" in building.table.places


def test_errors_of_an_included_file_name_it_and_its_line() -> None:
    with pytest.raises(NamespaceError) as caught:
        included(". /inc/bad.ns\n. /inc/nothing.ns\n. /two")
    assert str(caught.value).splitlines() == [
        "/inc/bad.ns:2: write bind [-abcqw] NEW OLD: 1 arguments stand here",
        'main.ns:5: "/inc/nothing.ns" is not in the namespace when this is bound: mount it before',
        'main.ns:6: "/two" is not in the namespace when this is bound: mount it before',
    ]


def test_files_that_include_each_other_end() -> None:
    with pytest.raises(IncludeError, match="include each other without end"):
        included(". /inc/loop.ns")
    assert set(included(". /inc/loop.ns", Reading.COMPAT).table.places) <= {f"/inc/{name}" for name in FILES}


def test_what_is_no_text_is_not_included() -> None:
    with pytest.raises(IncludeError, match=r'"/u/f" cannot be read: only a text or a file of the host'):
        strict("bind #host/one /u\n. /u/f")


@given(st.text(alphabet="bindmoutcle.-aqw/x'#host\\$ \t\n", max_size=60))
def test_any_text_is_a_namespace_or_an_error_with_a_line(text: str) -> None:
    compat(text).namespace()
    try:
        strict(text).namespace()
    except NamespaceError as error:
        assert all(line.startswith(("line ", "and ")) for line in str(error).splitlines())
