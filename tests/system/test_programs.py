"""Real programs do in a world what they do outside, on files that the manifest brings."""

from __future__ import annotations

from pathlib import Path

import pytest
from accounts import Account
from worlds import RunError, Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

HELLO_C = '#include <stdio.h>\nint main(void) { puts("compiled in a world"); return 7; }\n'
MAKEFILE = "all: sum\nsum: one two\n\tcat one two > sum\n%: %.in\n\ttr a-z A-Z < $< > $@\n"


def test_coreutils_work_on_a_scratch_folder(worlds: Worlds) -> None:
    script = """set -e; cd /tmp; mkdir -p a/b; seq 1000 | shuf | sort -n | tail -1 > a/b/last
cp -a a c; mv c/b d; ln d/last hard; ln -s hard soft; stat -c %h hard; cat soft; rm -r a c d; ls
dd if=/dev/zero of=big bs=1M count=8 status=none; truncate -s 3 big; wc -c < big; date -u +%Z"""
    assert worlds.run("sh", "-c", script).out.split() == ["2", "1000", "hard", "soft", "3", "UTC"]


def test_bash_has_pipes_substitution_and_arrays(worlds: Worlds) -> None:
    script = 'a=(3 1); sort <(printf "%s\\n" "${a[@]}") | paste -sd+ | tee /dev/stderr; cat <<< "$((2**40))"'
    result = worlds.run("bash", "-euc", script)
    assert (result.out, result.err) == ("1+3\n1099511627776\n", "1+3\n")


def test_python_uses_threads_processes_and_its_library(worlds: Worlds) -> None:
    code = """
import concurrent.futures as f, hashlib, multiprocessing, socket, ssl, tempfile, zoneinfo, ctypes, sqlite3
with multiprocessing.Pool(2) as pool: print(sum(pool.map(abs, range(-10, 0))))
with f.ThreadPoolExecutor(4) as pool: print(sum(pool.map(len, ["a"] * 100)))
with tempfile.NamedTemporaryFile() as file: file.write(b"x"); print(file.name.startswith("/tmp/"))
a, b = socket.socketpair(); a.send(b"through"); print(b.recv(10).decode(), socket.gethostname())
"""
    assert worlds.python(code, hostname="box").out.split() == ["55", "100", "True", "through", "box"]


def test_git_commits_branches_and_merges(worlds: Worlds) -> None:
    script = """set -e; git init -qb main work; cd work; git config user.name a; git config user.email a@b
for n in 1 2 3; do echo $n > file$n; git add .; git commit -qm "add $n"; done
git checkout -qb side HEAD~1; echo side > side; git add .; git commit -qm side; git checkout -q main
git merge -q --no-edit side; git log --oneline | wc -l
git fsck --strict 2>&1; ls; git gc -q; git status --short"""
    result = worlds.run("sh", "-c", script, directory="/tmp")
    assert result.out.split() == ["5", "file1", "file2", "file3", "side"]


def test_sqlite_writes_with_a_write_ahead_log(worlds: Worlds) -> None:
    sql = """pragma journal_mode=wal; create table t(x);
with recursive n(i) as (select 1 union all select i+1 from n where i < 5000) insert into t select i from n;
select sum(x) from t; pragma integrity_check;"""
    assert worlds.run("sqlite3", "/tmp/base", sql).out.split() == ["wal", "12502500", "ok"]


def test_gcc_compiles_and_the_result_runs(worlds: Worlds) -> None:
    script = "cat > a.c && gcc -O2 -o a a.c && ./a"
    result = worlds.run("sh", "-c", script, directory="/tmp", stdin=HELLO_C.encode(), check=False)
    assert (result.status, result.out) == (7, "compiled in a world\n"), result.err


def test_make_builds_in_a_read_write_mount_and_the_caller_owns_the_result(
    worlds: Worlds, as_user: Account
) -> None:
    project = as_user.folder / "project"
    as_user.run(["mkdir", str(project)])
    for name, text in (("Makefile", MAKEFILE), ("one.in", "one\n"), ("two.in", "two\n")):
        as_user.run(["tee", str(project / name)], stdin=None, input=text)
    worlds.run("make", "-j4", mounts=[f"{project}:/src:rw"], directory="/src")
    assert (project / "sum").read_text() == "ONE\nTWO\n"
    assert (project / "sum").stat().st_uid == as_user.uid
    assert "up to date" in as_user.run(["make"], cwd=project).stdout.replace(
        "Nothing to be done", "up to date"
    )


def test_tar_packs_and_unpacks_a_tree_unchanged(worlds: Worlds) -> None:
    script = """set -e; cd /tmp; mkdir -p in/deep out; cp /bin/cat in/deep; ln -s deep/cat in/link
ln in/deep/cat in/hard; chmod 750 in/deep; touch -d 2001-02-03 in/deep/cat; tar czf t.gz in
tar xpzf t.gz -C out; diff -r in out/in; stat -c '%a %h %y' out/in/deep out/in/hard
readlink out/in/link"""
    lines = worlds.run("sh", "-c", script).out.splitlines()
    assert lines[0].startswith("750 2 ")
    assert lines[1:] == ["755 2 2001-02-03 00:00:00.000000000 +0000", "deep/cat"]


def test_node_reads_files_and_resolves_modules(worlds: Worlds) -> None:
    code = "require('fs').promises.readFile('/etc/passwd', 'utf8').then(t => console.log(t.split(':')[0]))"
    assert worlds.run("node", "-e", code, include=["node"]).out == "root\n"


def test_a_program_execs_further_programs_through_scripts_and_env(worlds: Worlds) -> None:
    script = "printf '#!/usr/bin/env sh\\nexec sh -c \"exit 9\"\\n' > s; chmod +x s; ./s; echo $?; exec true"
    assert worlds.run("sh", "-c", script, directory="/tmp").out == "9\n"


@pytest.mark.parametrize("command", [["sh", "-c", "kill -TERM $$"], ["sh", "-c", "exit 3"]])
def test_status_and_signal_come_through(worlds: Worlds, command: list[str]) -> None:
    result = worlds.run(*command, check=False)
    assert (result.status, result.reason) == ((3, "exit") if "exit 3" in command else (-15, "signal"))


def test_a_command_that_is_not_there_is_not_started(worlds: Worlds) -> None:
    with pytest.raises(RunError) as raised:
        worlds.run("/opt/no/such")
    assert raised.value.kind == "CommandNotFoundError"


def test_exec_rights_come_from_the_host(worlds: Worlds, as_user: Account) -> None:
    plain: Path = as_user.folder / "plain"
    as_user.run(["cp", "/bin/true", str(plain)])
    as_user.run(["chmod", "644", str(plain)])
    with pytest.raises(RunError) as raised:
        worlds.run("/plain", mounts=[f"{plain}:/plain"])
    assert raised.value.kind == "CommandError"
