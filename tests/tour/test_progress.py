"""How far a learner has come: as values, and on a disk that fails."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from libos.tour.collection import collection
from libos.tour.keeping import Keeper
from libos.tour.progress import Progress, Visit, parsed

VISITS = Progress({"a": Visit("done", "b", 3, 1, 20), "b": Visit("skipped"), "c": Visit("begun", "a")})


def test_the_file_says_what_it_was_made_from() -> None:
    assert parsed(VISITS.text()) == VISITS


@pytest.mark.parametrize("length", range(0, len(VISITS.text()) - 2, 7))
def test_a_cut_file_is_no_progress(length: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parsed(VISITS.text()[:length])


@pytest.mark.parametrize(
    "spoiled",
    [
        None,
        {"state": "gone"},
        {"state": "done", "grants": -1},
        {"state": "done", "tries": "3"},
        {"state": "done", "hints": True},
        {"state": "new", "predicted": 1},
    ],
)
def test_a_visit_that_is_none_costs_itself_alone(spoiled: object) -> None:
    value = json.loads(VISITS.text())
    value["visits"]["b"] = spoiled
    assert parsed(json.dumps(value)) == VISITS.without("b")


@pytest.mark.parametrize("text", ["[]", "{}", '{"version": 2, "visits": {}}', '{"version": 1, "visits": 3}'])
def test_another_file_is_no_progress(text: str) -> None:
    with pytest.raises(ValueError, match="it "):
        parsed(text)


def test_next_is_what_is_open_and_then_what_was_skipped() -> None:
    assert VISITS.next(["a", "b", "c", "d"]) == "c"
    assert VISITS.next(["a", "b"]) == "b"
    assert VISITS.next(["a"]) is None


def test_the_fewest_grants_of_all_passes_count() -> None:
    assert Visit("begun").passed(5) == Visit("done", grants=5)
    assert Visit("done", grants=4).passed(5).grants == 4
    assert Visit("done", grants=6).passed(5).grants == 5


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tour keeps its files."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "libos/tour/stops"


def test_progress_is_kept(state: Path) -> None:
    told: list[str] = []
    Keeper(collection(), told.append).note("names", Visit("begun", "a"))
    again = Keeper(collection(), told.append)
    assert again.progress.at("names") == Visit("begun", "a")
    assert [path.name for path in state.iterdir()] == ["progress.json"]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (state, *state.parents[:2])]
    assert modes == [0o700] * 3  # kept changes stand beside it, and want a folder that is private
    assert told == []


def test_a_cut_file_is_put_aside_and_the_tour_begins_anew(state: Path) -> None:
    told: list[str] = []
    Keeper(collection(), told.append).note("names", Visit("done", grants=3))
    whole = (state / "progress.json").read_text()
    (state / "progress.json").write_text(whole[:40])
    keeper = Keeper(collection(), told.append)
    assert keeper.progress == Progress()
    assert (state / "progress.broken").read_text() == whole[:40]
    assert len(told) == 1
    assert "is put aside, and progress begins anew" in told[0]


def test_where_nothing_can_be_written_the_tour_goes_on_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    told: list[str] = []
    keeper = Keeper(collection(), told.append)
    told.clear()
    visit = Visit("begun")
    for tries in range(3):
        keeper.note("names", replace(visit, tries=tries))
    assert keeper.progress.at("names").tries == 2
    assert told == ["/dev/null/libos/tour/stops/progress.json: Not a directory: progress is not kept"]


def test_stops_of_another_folder_are_kept_apart(tmp_path: Path, state: Path) -> None:
    from libos.tour.making import new_stop

    (tmp_path / "mine").mkdir()
    new_stop(tmp_path / "mine/names")
    keeper = Keeper(collection(tmp_path / "mine"), print)
    assert keeper.home.parent == state.parent
    assert keeper.home != state
