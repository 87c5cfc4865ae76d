"""The process of libos run and libos up behind Landlock: what it opens, and that all it does still works."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from accounts import Account

from libos.kernel import landlock

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
behind_landlock = pytest.mark.skipif(
    landlock.abi() < landlock.ABI_TRUNCATE, reason="this kernel has no Landlock from ABI 3 up"
)


def tree(account: Account, text: str) -> None:
    """Make files in the account's folder, a path a word; those that end in a slash are directories."""
    script = "\n".join(
        f"mkdir -p {word}" if word.endswith("/") else f"mkdir -p $(dirname {word}); echo {word} > {word}"
        for word in text.split()
    )
    assert account.run(["sh", "-euc", script]).returncode == 0


@behind_landlock
def test_it_opens_what_a_manifest_grants_and_the_system_and_nothing_else(as_user: Account) -> None:
    names = "read/file read/gone read/moved write/file copy/file out/file out/gone"
    tried = {}
    for how in ("open", "enclosed"):
        tree(as_user, names)
        setting_up = "ln -s ../out/file write/astray; cp /bin/true write/program; chmod +x write/program"
        assert as_user.run(["sh", "-euc", setting_up]).returncode == 0
        script = str(HERE / "behind_landlock.py")
        done = as_user.run(as_user.python(script, str(as_user.folder), how))
        assert done.returncode == 0, done.stderr
        tried[how] = json.loads(done.stdout)
        as_user.run(["sh", "-c", "rm -r read write copy out"])
    assert set(tried["open"].values()) == {"done"}, tried["open"]  # each works where nothing forbids it
    allowed = [name for name, became in tried["enclosed"].items() if became == "done"]
    assert allowed == [
        *("read what is granted", "list what is granted", "read a copy", "write where that is granted"),
        *("make there", "link there", "move there", "remove there", "read the system"),
        *("read its own environment", "read memory that it has open"),
    ]
    covers = {name: became for name, became in tried["enclosed"].items() if name.startswith("covers")}
    assert covers == {"covers read": "yn", "covers write": "yy", "covers copy": "yn", "covers out": "nn"}
    others = {became for name, became in tried["enclosed"].items() if name not in (*allowed, *covers)}
    assert others <= {"EACCES", "EXDEV"}, tried["enclosed"]


@behind_landlock
def test_a_server_that_is_led_out_of_its_tree_opens_nothing_there(as_user: Account) -> None:
    def run(how: str) -> tuple[str, list[str]]:
        tree(as_user, "granted/mine secret elsewhere/victim elsewhere/kept elsewhere/hard")
        links = {"link": "$PWD/secret", "out": "../elsewhere", "magic": "/proc/self/root$PWD/elsewhere"}
        linking = "chmod a+rx .\n" + "\n".join(
            f'ln -s "{target}" granted/{name}' for name, target in links.items()
        )
        assert as_user.run(["sh", "-euc", linking]).returncode == 0
        done = as_user.run(as_user.python(str(HERE / "led_astray.py"), str(as_user.folder), how))
        assert done.returncode == 0, done.stderr
        found = as_user.run(["sh", "-c", "cat secret; ls elsewhere; ls granted"]).stdout.split()
        as_user.run(["sh", "-c", "rm -r granted secret elsewhere"])
        return done.stdout, found

    read = "secret\nelsewhere/victim\nsecret\nhard\nkept\nvictim\n"
    changed = ["changed", "d", "hard", "mine", "moved", "new", "hard", "link", "magic", "out"]
    assert run("open") == (read, changed)
    same = ["secret", "hard", "kept", "victim", "link", "magic", "mine", "out"]
    assert run("enclosed") == ("", same)


class Shell:
    """A world in which a shell does what it is told."""

    def __init__(self, account: Account, process: subprocess.Popen[str]) -> None:
        self._account = account
        self._process = process

    def tell(self, line: str) -> str:
        """What a line prints, what it complains of among it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {line}; }} 2>&1; echo --\n")
        self._process.stdin.flush()
        said = ""
        while not said.endswith("--\n"):
            more = self._process.stdout.readline()
            assert more, said
            said += more
        return said.removesuffix("--\n")

    def libos(self, *words: str) -> str:
        """What another terminal of the same user prints."""
        done = self._account.run(self._account.libos(*words))
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def shell(account: Account, *words: str) -> Iterator[Shell]:
    """A world named w, which ends with the block."""
    run = account.libos("run", "--name", "w", *words, "--", "sh")
    with account.start(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        made = Shell(account, process)
        made.tell("true")  # now it runs
        yield made
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


WRITING = (
    "cd /{0} && echo new > a && mkdir d && mv a d/b && ln d/b c && ln -s c l && echo more >> c && cat l"
    " && : > l && rm d/b && ls && exec 5<> c && rm c && echo held >&5 && cat /proc/self/fd/5; exec 5>&-; cd /"
)
WRITTEN = "new\nmore\nc\nd\nfile\nl\nheld\n"


def test_what_is_granted_while_it_runs_is_opened_outside(as_user: Account) -> None:
    tree(as_user, "ro/file ro/d/ rw/file cow/file one/file kept/file kernel/file")
    with shell(as_user, "--keep", "mine", "-v", f"{as_user.folder}/kept:/kept:cow") as world:
        world.libos("mount", "w", "ro:/ro", "--revocable")
        said = world.tell("cat /ro/file; ls /ro; touch /ro/new 2> /dev/null || echo refused")
        assert said == "ro/file\nd\nfile\nrefused\n"
        world.libos("mount", "w", "rw:/rw:rw", "--revocable")
        assert world.tell(WRITING.format("rw")) == WRITTEN
        world.libos("mount", "w", "cow:/cow:cow", "--hide", "*.pem")
        assert world.tell(WRITING.format("cow")) == WRITTEN
        world.libos("mount", "w", "one/file:/one:rw", "--revocable")
        assert world.tell("cat /one; echo two > /one; cat /one") == "one/file\ntwo\n"
        assert as_user.run(["sh", "-c", "echo other > other; mv other one/file"]).returncode == 0
        assert world.tell("cat /one") == "two\n"  # the file that was mounted
        world.libos("mount", "w", "kernel:/kernel:rw")
        world.libos("narrow", "w", "/kernel", "--hide", "*.pem")
        assert world.tell("cat /kernel/file; echo x > /kernel/x") == "kernel/file\n"
        assert world.libos("exec", "w", "--", "cat", "/ro/file") == "ro/file\n"
        world.libos("publish", "w", f"unix:{as_user.folder}/published:9")
        assert as_user.run(["test", "-S", "published"]).returncode == 0
        world.tell("echo kept > /kept/file")
    found = as_user.run(["sh", "-c", "cat kernel/x; ls ro rw cow published"])
    assert found.stdout == "x\ncow:\nfile\n\nro:\nd\nfile\n\nrw:\nd\nfile\nl\n"
    assert as_user.run(as_user.libos("commit", "mine")).returncode == 0
    assert as_user.run(["cat", "kept/file"]).stdout == "kept\n"


STACK = """
libos = 1
[[world]]
name = "w"
include = ["base"]
restart = { when = "always" }
[world.app]
command = ["sh", "-c", "cat /data/f; echo seen >> /data/log; read x < /data/go"]
[[world.mount]]
at = "/data"
host = "./data"
mode = "read-write"
revocable = true
"""


def test_a_world_that_is_restarted_has_the_directory_that_stands_there_then(as_user: Account) -> None:
    def data(text: str) -> None:
        making = f"mkdir data; echo {text} > data/f; mkfifo data/go"
        assert as_user.run(["sh", "-euc", making]).returncode == 0

    data("one")
    (as_user.folder / "stack.toml").write_text(STACK)
    with as_user.start(as_user.libos("up"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "w | one\n"
        assert as_user.run(["mv", "data", "old"]).returncode == 0
        data("two")
        assert as_user.run(as_user.libos("kill", "stack.w")).returncode == 0
        assert process.stdout.readline() == "w | two\n"
        process.terminate()
    assert process.returncode == 0
