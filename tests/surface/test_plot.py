"""The picture: well-formed, every place on it, no label over another."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from libos.surface.plot import FRAME, Point, placed, svg

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.text(max_size=60)
POINTS = st.lists(st.builds(Point, NAMES, st.integers(0, 10**9), st.floats(0, 100)), min_size=1, max_size=12)


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314 - our own


def texts(picture: str) -> list[str]:
    return [each.text or "" for each in parsed(picture).iter(f"{SVG}text")]


def height(picture: str) -> int:
    return int(parsed(picture).attrib["height"])


@settings(deadline=None)  # asserts no time: machines are busy
@given(POINTS)
def test_the_picture_is_xml_and_has_each_place_once(points: list[Point]) -> None:
    picture = parsed(svg(points))
    assert len(list(picture.iter(f"{SVG}circle"))) == len(points)
    told = [text for text in texts(svg(points)) if " files, " in text]
    assert len(told) == len(points)


@settings(deadline=None)  # asserts no time: machines are busy
@given(
    st.lists(
        st.tuples(
            st.text("abc", min_size=1, max_size=40),
            st.tuples(st.floats(FRAME.left, FRAME.right), st.floats(FRAME.top, FRAME.bottom)),
        ),
        max_size=12,
    )
)
def test_no_label_covers_another_or_leaves_the_frame(wanted: list[tuple[str, tuple[float, float]]]) -> None:
    labels = [each for each in placed([t for t, _ in wanted], [c for _, c in wanted]) if each is not None]
    assert all(label.box.within(FRAME) for label in labels)
    assert not any(one.box.meets(other.box) for one, other in itertools.combinations(labels, 2))
    assert not any(label.box.meets_point(*centre) for label in labels for _, centre in wanted)


def test_places_that_cannot_be_told_apart_are_told_of_below() -> None:
    points = [Point(f"place-{number}", 1000, 50.0) for number in range(12)]
    picture = svg(points)
    assert [text for text in texts(picture) if text.startswith("12  place-11: 1,000 files, 50%")]
    assert height(picture) > height(svg(points[:1]))


def test_a_place_whose_walk_was_stopped_is_marked() -> None:
    assert not [text for text in texts(svg([Point("x", 5, 1.0)])) if "+" in text]
    told = texts(svg([Point("x", 5, 1.0, complete=False)]))
    assert "x: 5+ files, 1%" in told
    assert any("stopped" in text for text in told)


def test_a_name_is_shown_harmless_and_short() -> None:
    (told,) = (text for text in texts(svg([Point("<a>\x1b[31m" + "b" * 60, 5, 1.0)])) if " files, " in text)
    assert told == "<a>?[31m" + "b" * 23 + "…: 5 files, 1%"
