"""A stop's folder: libos's own are good, and every error of another one is told with its place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.manifest import load
from libos.tour.collection import Collection, TourError, collection
from libos.tour.fitting import refusals
from libos.tour.making import new_stop
from libos.tour.reading import read_stop
from libos.tour.stop import Stop
from libos.tour.story import StoryError, laid_out, read_story

OWN = collection()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stop that can be spoiled."""
    new_stop(tmp_path / "mine")
    return tmp_path / "mine"


def spoil(folder: Path, old: str, new: str, name: str = "stop.toml") -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def test_all_of_the_tours_stops_can_be_read_and_are_numbered_in_a_row() -> None:
    assert OWN.unreadable == ()
    assert [stop.number for stop in OWN.stops] == list(range(1, 13))


def test_the_page_for_learners_lists_the_stops_in_order() -> None:
    page = Path(__file__).parent.parent.parent / "docs/how-to/take-the-tour.md"
    listed = re.findall(r"^\| `(\w+)` \| ", page.read_text(), re.M)
    assert [name for name in listed if len(name) > 1] == OWN.names


@pytest.mark.parametrize("stop", OWN.stops, ids=OWN.names)
def test_the_tour_grants_itself_nothing_that_it_refuses_a_learner(stop: Stop) -> None:
    for manifest in (stop.start, stop.solution):
        assert refusals(load(manifest), stop.folder) == []


@pytest.mark.parametrize("stop", OWN.stops, ids=OWN.names)
@pytest.mark.parametrize("columns", [40, 80])
def test_texts_fit_on_a_terminal(stop: Stop, columns: int) -> None:
    texts = [stop.story.introduction, *stop.story.sections.values(), stop.question.asks, *stop.hints]
    for line in (line for text in texts for line in laid_out(text, columns)):
        assert len(line) < columns or len(line.split()) <= 2 or line.startswith("    "), line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tour = 1", "tour = 2", ':1:8: "tour" is 1, not 2'),
        ("[predict]", "[predickt]", 'unknown key "predickt", did you mean "predict"?'),
        ('answer = "c"', 'answer = "h"', "no choice has the key h"),
        ('name = "attack"', 'name = "attac"', 'none of them is the attack: write name = "attack"'),
        ('run = "attack"', 'run = "atack"', 'no run is named "atack", did you mean "attack"?'),
        ('name = "attack"', 'name = "app"', '"app" names no program'),
        ("status = 0\n", "status = 300\n", '"status": Input should be less than or equal to 255'),
        ('kind = "path.absent"', 'kind = "path.abscent"', "an event has a kind that there is"),
        ("under", "under", ""),
    ],
)
def test_an_error_of_a_stop_is_told_with_its_place(folder: Path, old: str, new: str, said: str) -> None:
    if not said:
        (folder / "stop.toml").write_text((folder / "stop.toml").read_text() + '\n[modes]\n"../x" = "999"\n')
        said = "is no path below files/"
    else:
        spoil(folder, old, new)
    with pytest.raises(ManifestError) as failure:
        read_stop(folder)
    assert said in str(failure.value)
    assert str(folder / "stop.toml:") in str(failure.value)


def test_a_check_that_asks_for_nothing_is_an_error(folder: Path) -> None:
    text = (folder / "stop.toml").read_text()
    (folder / "stop.toml").write_text(f'{text}\n[[check]]\nsays = "all is well"\nrun = "app"\n')
    with pytest.raises(ManifestError, match="it asks for nothing: write status, ended, prints"):
        read_stop(folder)


def test_what_is_missing_is_all_told_at_once(folder: Path) -> None:
    spoil(folder, "## Break", "## Brake", "story.md")
    for name in ("start.toml", "solution.toml"):
        (folder / name).unlink()
    with pytest.raises(ManifestError) as failure:
        read_stop(folder)
    lines = str(failure.value).splitlines()
    assert len(lines) == 3
    assert 'story.md: it lacks the section "## Break"' in lines[0]
    assert lines[1].endswith("start.toml: is not there: every stop has one")


def test_a_link_in_place_of_a_stops_files_is_an_error(folder: Path) -> None:
    (folder / "files").rename(folder / "elsewhere")
    (folder / "files").symlink_to("/root")
    with pytest.raises(ManifestError, match="files: is a link: a stop's files stand in its own folder"):
        read_stop(folder)


def test_a_pipe_in_a_stops_folder_makes_nobody_wait(folder: Path) -> None:
    (folder / "story.md").unlink()
    os.mkfifo(folder / "story.md")
    with pytest.raises(ManifestError, match="this is no regular file"):
        read_stop(folder)


def test_a_stop_that_cannot_be_read_takes_no_other_with_it(folder: Path) -> None:
    new_stop(folder.parent / "other")
    (folder / "stop.toml").write_text("tour = [")
    found = collection(folder.parent)
    assert found.names == ["other"]
    assert [each.name for each in found.unreadable] == ["mine"]
    with pytest.raises(TourError, match=r"stop\.toml"):
        found.get("mine")
    with pytest.raises(TourError, match='there is no stop "names": there are other'):
        found.get("names")


def test_a_folder_without_stops_is_told(tmp_path: Path) -> None:
    with pytest.raises(TourError, match="no stop is there: libos tour new DIR makes one"):
        collection(tmp_path)
    with pytest.raises(TourError, match="No such file or directory"):
        collection(tmp_path / "none")


def test_a_new_stop_is_read_and_stands_nowhere_that_is_taken(folder: Path) -> None:
    assert isinstance(collection(folder), Collection)
    with pytest.raises(TourError, match="is there already"):
        new_stop(folder)
    with pytest.raises(TourError, match="there is no such folder"):
        new_stop(folder / "none/mine")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mine"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no heading\n## Look\n", "it begins with no heading"),
        ("# T\n## Look\na\n## Break\nb\n## Change\nc\n", 'it lacks the section "## Card"'),
        ("# T\n## Look\na\n## Break\nb\n## Change\nc\n## Card\nd\n## More\ne\n", 'it has no section "more"'),
    ],
)
def test_a_story_has_its_sections(text: str, said: str) -> None:
    with pytest.raises(StoryError, match=said):
        read_story(text)


def test_text_is_laid_out_by_paragraphs_lists_and_blocks() -> None:
    text = "One two\nthree.\n- first item\n  goes on\n- second\n\n```\nas it   is\n```\nEnd."
    assert laid_out(text, 20) == [
        "One two three.",
        "",
        "- first item goes on",
        "- second",
        "",
        "    as it   is",
        "",
        "End.",
    ]
