"""The tour in worlds: each stop tried in both directions, and all of it walked on a terminal."""

from __future__ import annotations

import json
import os
import shutil
import termios
import tomllib
from pathlib import Path

import pexpect
import pytest
from accounts import Account

from libos.tour.collection import OWN, collection

pytestmark = pytest.mark.system

STOPS = collection()
# Where the learner's files are below XDG_STATE_HOME, ~/.local/state where that is unset.
STATE = ".local/state/libos/tour/stops"

# An editor that changes the manifest of the first stop to its solution.
EDITOR = f"cp {OWN / STOPS.names[0] / 'solution.toml'}"


def tour(account: Account, *arguments: str) -> tuple[int, str, str]:
    """What `libos tour` ends with, and what it says."""
    done = account.run(account.libos("tour", *arguments), timeout=120)
    return done.returncode, done.stdout, done.stderr


def judged(account: Account, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    """What a grader ends with and gives."""
    status, out, _ = tour(account, "--check", "--json", *arguments)
    return status, json.loads(out)["stops"]


@pytest.mark.timeout(150)
@pytest.mark.soak_accounts("root")
def test_every_stop_fails_with_its_start_and_passes_with_its_solution(as_user: Account) -> None:
    status, out, err = tour(as_user, "--json", "verify")
    found = json.loads(out)
    assert [(each["stop"], each["problems"]) for each in found["stops"]] == [
        (name, []) for name in STOPS.names
    ]
    assert (status, found["good"], err) == (0, len(STOPS.names), "")


class Learner:
    """Somebody at a terminal who does what the stops ask."""

    def __init__(self, account: Account, columns: int, *arguments: str) -> None:
        self.account = account
        program, *words = account.command(*account.libos("tour", *arguments))
        self.child = pexpect.spawn(
            program,
            words,
            env=account.environment | {"NO_COLOR": "1", "TERM": "dumb", "EDITOR": EDITOR},
            cwd=str(account.folder),
            dimensions=(24, columns),
            timeout=40,
            encoding="utf-8",
        )
        self.modes = termios.tcgetattr(self.child.child_fd)

    def see(self, text: str) -> str:
        """Wait for a text, and give what came before it."""
        self.child.expect_exact(text)
        return str(self.child.before)

    def manifest(self, stop: str) -> Path:
        return self.account.folder / STATE / stop / "manifest.toml"

    def write(self, stop: str, text: str) -> None:
        """Save the manifest as editors do, as another file of the learner's."""
        made = self.manifest(stop).with_name("saved")
        made.write_text(text)
        os.chown(made, self.account.uid, -1)
        made.replace(self.manifest(stop))

    def attack(self, stop: str) -> str:
        """Predict, run and break; what was shown on the way."""
        question = tomllib.loads((OWN / stop / "stop.toml").read_text())["predict"]
        shown = self.see("Your key (q leaves)")
        self.child.send(question["answer"])
        shown += self.see("Enter: break it")
        self.child.send("\r")
        shown += self.see("Enter: mend it")
        self.child.send("\r")
        return shown + self.see("q leave]")

    def mend(self, stop: str) -> str:
        """Change the manifest to the solution; what is shown until the stop is passed."""
        self.write(stop, (OWN / stop / "solution.toml").read_text())
        shown = self.see("Who did it first")
        assert "done " in shown
        return shown

    def end(self) -> int:
        """Wait for the end; the terminal is then as it was."""
        assert termios.tcgetattr(self.child.child_fd) == self.modes
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)


@pytest.mark.timeout(150)
@pytest.mark.soak_accounts("user")
def test_a_learner_who_does_what_the_stops_ask_comes_to_the_end(as_user: Account) -> None:
    learner = Learner(as_user, 40)
    shown = {}
    for name in STOPS.names:
        shown[name] = learner.attack(name) + learner.mend(name)
        if name != STOPS.names[-1]:
            learner.see("Enter: the next stop")
            learner.child.send("\r")
    assert f"Stops passed: {len(STOPS.names)} of {len(STOPS.names)}." in learner.see("Hints read: 0")
    assert learner.end() == 0
    # The two errors stand side by side before, and are one afterwards.
    before, after = shown["absent"].split("== Change ==")
    assert "ada: EACCES" in before
    assert "zoe: ENOENT" in before
    assert "ada: ENOENT" in after
    assert "zoe: ENOENT" in after
    status, stops = judged(as_user)
    assert status == 0
    assert [stop["passed"] for stop in stops] == [True] * len(STOPS.names)
    assert "\x1b" not in "".join(shown.values())


@pytest.mark.accounts("user")
def test_hints_spoiled_files_and_ctrl_c_cost_nothing(as_user: Account) -> None:
    name = STOPS.names[0]
    learner = Learner(as_user, 80)
    learner.attack(name)
    for number in (1, 2, 3, 3):
        learner.child.send("h")
        learner.see(f"hint {number} of 3:")
        learner.see("q leave]")
    learner.child.send("\r")
    assert "no the attack finds no key" in learner.see("q leave]")
    shutil.rmtree(as_user.folder / STATE / name)
    learner.child.send("\r")
    assert "no such file" in learner.see("Nothing was run.")
    learner.see("q leave]")
    learner.child.send("n")
    learner.see("The manifest is what it was")
    learner.see("q leave]")
    learner.write(name, "libos = 1\n[app]\ncomand = 3\n")
    assert 'did you mean "command"?' in learner.see("q leave]")
    learner.child.send("e")
    assert "done " in learner.see("Who did it first")
    learner.see("Enter: the next stop")
    learner.child.send("\r")
    learner.see("Your key")
    learner.child.sendintr()
    learner.see("libos tour goes on from here")
    assert learner.end() == 130
    _, out, _ = tour(as_user, "--json", "list")
    visit = json.loads(out)["stops"][0]
    assert (visit["state"], visit["hints"], visit["tries"]) == ("done", 3, 4)


@pytest.mark.accounts("user")
def test_a_teacher_grades_manifests_that_were_handed_in(as_user: Account) -> None:
    for file, wanted in (("start.toml", 1), ("solution.toml", 0)):
        status, out, _ = tour(as_user, "--check", "--json", "--manifest", str(OWN / "names" / file), "names")
        assert status == wanted
        (verdict,) = json.loads(out)["stops"]
        assert verdict["passed"] is (wanted == 0)
        assert {each["outcome"] for each in verdict["checks"]} >= ({"fails"} if wanted else {"holds"})
    assert not (as_user.folder / STATE).exists()


@pytest.mark.accounts("user")
def test_stops_that_teach_nothing_or_reach_too_far_are_told(as_user: Account) -> None:
    stops = as_user.folder / "stops"
    stops.mkdir()
    os.chown(stops, as_user.uid, as_user.uid)
    status, out, _ = tour(as_user, "new", "stops/good")
    assert (status, "stops/good/stop.toml" in out.split()) == (0, True)
    for name in ("unsolved", "harmless", "thief"):
        shutil.copytree(stops / "good", stops / name)
    start, solution = ((stops / "good" / name).read_text() for name in ("start.toml", "solution.toml"))
    (stops / "unsolved/solution.toml").write_text(start)
    (stops / "harmless/start.toml").write_text(solution)
    own = start.replace('"files/home"', f'"{as_user.folder}"\nmode = "read-write"')
    (stops / "thief/start.toml").write_text(own)
    (stops / "thief/attack/attack.sh").write_text("rm -r /home/*\n")
    status, out, _ = tour(as_user, "--json", "verify", "stops")
    problems = {each["stop"]: " ".join(each["problems"]) for each in json.loads(out)["stops"]}
    assert (status, problems.pop("good")) == (1, "")
    assert "the solution: attack: the attack finds no key" in problems["unsolved"]
    assert "the start: the attack fails already: the attack finds no key" in problems["harmless"]
    assert (
        f"/home: the tour mounts files/ and the system's programs, not {as_user.folder}" in problems["thief"]
    )
    assert (stops / "good/start.toml").exists()


@pytest.mark.accounts("user")
def test_without_a_terminal_the_first_character_of_a_line_is_the_key(as_user: Account) -> None:
    done = as_user.run(as_user.libos("tour"), stdin=None, input="x\nc\n\n\ns\nq\n")
    assert done.returncode == 0
    assert "stolen: a pretended key" in done.stdout
    assert done.stderr == "libos: libos tour goes on from here\n"
    _, out, _ = tour(as_user, "--json", "list")
    assert [each["state"] for each in json.loads(out)["stops"]][:2] == ["skipped", "new"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], 'there is no stop "none": there are names, '),
        (["--json"], "--json goes with --check, list or verify"),
        (["--manifest", "x"], "--manifest goes with --check and a STOP"),
        (["--stops", "/usr/share"], "no stop is there"),
        (["reset"], "name a STOP, or say --all"),
        (["--check", "--manifest", "/none", "names"], "/none: no such file"),
    ],
)
@pytest.mark.accounts("user")
def test_what_cannot_be_asked_is_2(as_user: Account, arguments: list[str], said: str) -> None:
    status, _, err = tour(as_user, *arguments)
    assert status == 2
    assert said in err.splitlines()[-1]
