"""Folding by values: a host that is a table, and what was used of it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from libos.learning.folding import MOST_HIDDEN, MOST_LISTED, MOST_LOOKS, Folded, fold
from libos.learning.host import Below, Kind
from libos.learning.widening import within
from libos.sensitive import is_secret

HOME = "/home/me"
WORK = "/home/me/work"


class TableHost:
    """A host that has these files, and links that lead to some of them."""

    def __init__(self, files: list[str], links: Mapping[str, str] | None = None) -> None:
        self.files = set(files)
        self.links = dict(links or {})

    def kind(self, path: str) -> Kind | None:
        path = self.real(path)
        if path in self.files:
            return "file"
        return "directory" if any(within(file, path) for file in self.files) or path == "/" else None

    def real(self, path: str) -> str:
        for link, target in self.links.items():
            if within(path, link):
                return target + path[len(link) :]
        return path

    def below(self, path: str) -> Below:
        found = [file for file in self.files if within(file, path)]
        return Below(len(found), tuple(file for file in found if is_secret(file)))


def folded(host: TableHost, uses: Mapping[str, str], *written: str) -> Folded:
    seen = {path: frozenset(words.split()) for path, words in uses.items()}
    return fold(
        *(seen, host),
        directory=WORK,
        home=HOME,
        covered=lambda path: False,
        memory=("/tmp",),
        written=written,
    )


def modes(result: Folded) -> dict[str, str]:
    return {grant.at: "memory" if grant.memory else grant.mode for grant in result.grants}


def test_the_working_directory_is_granted_whole_and_its_secrets_hidden() -> None:
    host = TableHost([f"{WORK}/{name}" for name in ("a", "b", ".env", "keys/x.pem")])
    result = folded(host, {f"{WORK}/a": "look read"})
    assert modes(result) == {WORK: "read-only"}
    assert sorted(result.grants[0].hide) == [".env", "keys/x.pem"]


def test_it_is_copy_on_write_where_something_in_it_was_changed() -> None:
    assert modes(folded(TableHost([f"{WORK}/a"]), {f"{WORK}/new": "create write"})) == {WORK: "copy-on-write"}


def test_a_secret_that_was_used_in_it_is_not_hidden_and_is_said() -> None:
    result = folded(TableHost([f"{WORK}/.env", f"{WORK}/x.pem"]), {f"{WORK}/.env": "read"})
    assert result.grants[0].hide == ("x.pem",)
    assert result.notes == [f"secrets in {WORK} were used, and are granted with it"]


def test_the_home_directory_is_never_granted_whole() -> None:
    host = TableHost([f"{HOME}/{n}" for n in ("a", "b", "c", "d")])
    seen = {f"{HOME}/{n}": frozenset(["read"]) for n in "abcd"}
    result = fold(seen, host, directory=HOME, home=HOME, covered=lambda path: False)
    assert sorted(modes(result)) == [f"{HOME}/{n}" for n in "abcd"]


def test_files_of_which_a_good_part_was_used_are_folded() -> None:
    files = [f"/opt/app/lib/{n}" for n in range(10)]
    used = dict.fromkeys(files[:4], "read")
    assert modes(folded(TableHost(files), used)) == {"/opt/app": "read-only"}
    assert modes(folded(TableHost([*files, *(f"/opt/app/{n}" for n in range(50))]), used)) == {
        "/opt/app/lib": "read-only"
    }


def test_files_of_a_large_directory_stay_alone() -> None:
    files = [f"/opt/app/{n}" for n in range(100)]
    used = dict.fromkeys(files[:5], "read")
    assert sorted(modes(folded(TableHost(files), used))) == sorted(used)


def test_too_many_lines_are_folded_where_least_is_shown() -> None:
    files = [f"/opt/small/{n}" for n in range(500)] + [f"/opt/large/{n}" for n in range(5000)]
    used = dict.fromkeys(files[:50] + files[500:550], "read")
    places = modes(folded(TableHost(files), used))
    assert "/opt/small" in places
    assert "/opt/large" not in places
    assert len(places) == 51


def test_a_listed_directory_is_granted_unless_it_holds_a_secret() -> None:
    host = TableHost(["/opt/a/x", "/opt/b/id_rsa", "/etc/passwd"])
    result = folded(host, {"/opt/a": "list", "/opt/b": "list", "/etc": "list"})
    assert modes(result) == {"/opt/a": "read-only"}
    assert result.notes == ["/opt/b was listed, and is not granted: large, or with secrets"]


def test_of_listed_directories_that_are_not_granted_the_outermost_is_said() -> None:
    host = TableHost(["/opt/a/b/c/id_rsa"])
    uses = dict.fromkeys(("/opt/a", "/opt/a/b", "/opt/a/b/c"), "list")
    assert folded(host, uses).notes == [
        "/opt/a was listed, and is not granted, nor are 2 more in it: large, or with secrets"
    ]


SITE = "/opt/app/lib/python3.13/site-packages"


def test_a_library_of_which_much_was_used_is_granted_whole_and_said() -> None:
    files = [f"{SITE}/p{n}/m{m}.py" for n in range(50) for m in range(10)]
    result = folded(TableHost(files), dict.fromkeys(files[:100:10], "read"))
    assert modes(result) == {SITE: "read-only"}
    assert result.grants[0].why == "10 of its 500 files were used: a library, granted whole"


def test_a_library_of_which_little_was_used_is_not() -> None:
    files = [f"{SITE}/p{n}/m{m}.py" for n in range(50) for m in range(10)]
    used = dict.fromkeys(files[:90:10], "read")
    assert modes(folded(TableHost(files), used)) == dict.fromkeys(used, "read-only")


def test_a_library_that_was_listed_is_granted_however_large() -> None:
    files = [f"/opt/node_modules/p{n}/index.js" for n in range(MOST_LISTED + 1)]
    host = TableHost([*files, "/opt/other/x"])
    assert modes(folded(host, {"/opt/node_modules": "list"})) == {"/opt/node_modules": "read-only"}


def test_a_secret_in_a_library_is_hidden() -> None:
    files = [f"{SITE}/p{n}/m.py" for n in range(100)]
    used = dict.fromkeys(files[:20], "read")
    result = folded(TableHost([*files, f"{SITE}/p99/.env"]), used)
    assert [(grant.at, grant.hide) for grant in result.grants] == [(SITE, ("p99/.env",))]
    assert (
        result.grants[0].why == "20 of its 101 files were used: a library, granted whole but for its secrets"
    )


def test_a_library_of_many_secrets_is_not_granted_whole() -> None:
    files = [f"{SITE}/p{n}/m.py" for n in range(100)]
    used = dict.fromkeys(files[:20], "read")
    secrets = [f"{SITE}/p{n}/.env" for n in range(MOST_HIDDEN + 1)]
    assert modes(folded(TableHost([*files, *secrets]), used)) == dict.fromkeys(used, "read-only")


def test_looks_at_many_files_of_what_was_listed_and_is_not_granted_are_no_grant() -> None:
    files = [f"/etc/{n}" for n in range(MOST_LOOKS + 1)]
    host = TableHost([*files, "/etc/passwd", "/srv/id_rsa", "/srv/x"])
    uses = dict.fromkeys(files, "look") | {"/etc": "list", "/etc/passwd": "look read", "/srv/x": "look"}
    result = folded(host, uses | {"/srv": "list"})
    assert set(modes(result)) == {"/etc/passwd", "/srv/x"}
    assert result.notes == [f"{MOST_LOOKS + 1} files of /etc were looked at: that is not granted"]


def test_pythons_own_library_is_known_by_its_module_os() -> None:
    files = [f"/opt/python/lib/python3.13/m{n}.py" for n in range(100)]
    used = dict.fromkeys(files[:12], "read")
    assert modes(folded(TableHost(files), used)) == dict.fromkeys(used, "read-only")
    own = TableHost([*files, "/opt/python/lib/python3.13/os.py"])
    assert modes(folded(own, used)) == {"/opt/python/lib/python3.13": "read-only"}


def test_what_a_link_leads_to_is_not_granted_twice() -> None:
    host = TableHost(["/opt/lib/x.so.1.2"], {"/opt/lib/x.so.1": "/opt/lib/x.so.1.2"})
    result = folded(host, {"/opt/lib/x.so.1": "look follow", "/opt/lib/x.so.1.2": "look read"})
    assert [(grant.at, grant.why) for grant in result.grants] == [("/opt/lib/x.so.1", "read")]


def test_what_leads_to_what_every_world_has_of_its_own_is_not_granted() -> None:
    host = TableHost(["/proc/7/mounts", "/usr/bin/df"], {"/etc/mtab": "/proc/7/mounts"})
    uses = {"/etc/mtab": "look follow", "/proc/7/mounts": "read", "/usr/bin/df": "look execute"}
    assert set(modes(folded(host, uses))) == {"/usr/bin/df"}


def test_the_locale_that_was_read_is_granted_whole_and_no_other() -> None:
    files = [
        f"/usr/lib/locale/{name}/LC_{part}" for name in ("C.utf8", "de_AT.utf8") for part in ("CTYPE", "TIME")
    ]
    uses = {files[0]: "look read", files[2]: "look"}
    assert set(modes(folded(TableHost(files), uses))) == {"/usr/lib/locale/C.utf8"}


def test_a_link_out_of_a_folded_directory_needs_what_it_leads_to() -> None:
    host = TableHost(["/opt/a/1", "/opt/a/2", "/srv/x/target"], {"/opt/a/link": "/srv/x/target"})
    uses = {"/opt/a/1": "read", "/opt/a/2": "read", "/opt/a/link": "follow", "/srv/x/target": "read"}
    assert modes(folded(host, uses)) == {"/opt/a": "read-only", "/srv/x/target": "read-only"}


def test_new_files_get_memory_and_changed_ones_a_copy() -> None:
    host = TableHost(["/var/cache/app/old", "/srv/data/x"])
    uses = {"/srv/data/x": "write", "/var/cache/new/deep/file": "create", "/tmp/scratch": "create write"}
    assert modes(folded(host, uses)) == {"/srv/data": "copy-on-write", "/var/cache/new": "memory"}


def test_a_file_changed_beside_keys_grants_none_of_them() -> None:
    keys = [f"{HOME}/.ssh/id_rsa", f"{HOME}/.ssh/config"]
    host = TableHost([*keys, "/srv/all/x"], {"/srv/keys": f"{HOME}/.ssh"})
    for place in (f"{HOME}/.ssh", "/srv/keys"):
        result = folded(host, {f"{place}/config": "write"})
        assert not result.covers(f"{place}/id_rsa")
        assert f"files in {place} were changed: that is not granted, but by -v" in result.notes
    assert modes(folded(host, {"/srv/all/x": "write"})) == {"/srv/all": "copy-on-write"}


def test_a_link_with_a_harmless_name_to_a_secret_is_said() -> None:
    key = f"{HOME}/.ssh/id_rsa"
    host = TableHost([key, "/srv/a", "/srv/b", "/srv/c"], {"/srv/plain": key})
    looked = folded(host, {"/srv/plain": "look follow"})
    assert (looked.grants, len(looked.notes)) == ([], 1)
    read = folded(host, {"/srv/plain": "look follow read", key: "read"})
    assert {grant.at: grant.why for grant in read.grants} == {"/srv/plain": "SECRET: it was read"}
    assert f"by its link to {key}, and was read" in read.notes[0]
    used = {f"/srv/{name}": "read" for name in "abc"}
    assert is_secret(key) and not folded(host, used | {"/srv/plain": "look follow"}).covers(key)


def test_nothing_is_granted_of_where_the_program_could_put_links() -> None:
    host = TableHost(["/srv/data/file", "/srv/other", "/srv/more/x"], {"/srv/link": "/srv/data"})
    host.links["/srv/data/plain"] = "/srv/other"
    uses = {"/srv/data/plain": "follow read", "/srv/link/file": "read", "/srv/other": "read"}
    result = folded(host, uses, "/srv/link")
    assert modes(result) == {"/srv/other": "read-only"}
    assert [note.partition(" ")[0] for note in result.notes] == ["/srv/data", "/srv/link"]


def test_a_secret_that_was_read_is_granted_alone_and_said() -> None:
    host = TableHost([f"{HOME}/.ssh/{n}" for n in ("config", "id_rsa", "known_hosts", "x")])
    used = {f"{HOME}/.ssh/{n}": "read" for n in ("config", "known_hosts", "x")}
    result = folded(host, {**used, f"{HOME}/.ssh/id_rsa": "look"})
    assert sorted(modes(result)) == sorted(used)
    assert {grant.why for grant in result.grants} == {"SECRET: it was read"}
    assert len(result.notes) == 4


NAMES = st.sampled_from(
    ["a", "b", "lib", ".ssh", ".env", "x.pem", "id_rsa", "work", "me", "home", "opt", "site-packages"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map(lambda names: "/" + "/".join(names))
SEEN = st.frozensets(
    st.sampled_from(["look", "list", "read", "write", "execute", "create", "remove", "change", "follow"]),
    min_size=1,
)


@given(st.dictionaries(PATHS, SEEN, max_size=12), st.lists(PATHS, max_size=20))
def test_no_grant_shows_a_secret_that_was_not_used(
    uses: dict[str, frozenset[str]], others: list[str]
) -> None:
    every = {*uses, *others}
    files = [path for path in every if not any(other != path and within(other, path) for other in every)]
    host = TableHost(files)
    result = fold(uses, host, directory=WORK, home=HOME, covered=lambda path: False)
    for secret in filter(is_secret, files):
        for grant in result.grants:
            if grant.memory or not within(secret, grant.at) or uses.get(secret, frozenset()) - {"look"}:
                continue
            assert posixpath.relpath(secret, grant.at) in grant.hide, (grant, secret)


@given(st.dictionaries(PATHS, SEEN, max_size=12))
def test_what_was_read_is_shown(uses: dict[str, frozenset[str]]) -> None:
    files = [path for path in uses if not any(other != path and within(other, path) for other in uses)]
    result = fold(uses, TableHost(files), directory=WORK, home=HOME, covered=lambda path: False)
    for path in files:
        if "read" in uses[path]:
            assert result.covers(path), result
