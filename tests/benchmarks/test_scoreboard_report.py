"""The scoreboard's page says what its figures say."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.detection.__main__ import DOCS, scoreboard
from benchmarks.detection.coverage import LEGS
from benchmarks.detection.families import FAMILIES
from benchmarks.detection.goals import goals
from benchmarks.detection.report import delays, page, served
from benchmarks.detection.score import Figures, wilson

SOME = (
    "clean-10",
    "steady-0.9%",
    "bursts",
    "outage",
    "step-0.5%",
    "step-5%-10",
    "step-2%-10",
    "late-5%",
    "breaks-controls",
    "outage-untold",
    "restarts-1",
    "crash-loop",
    "gauge-before",
)


@pytest.fixture(scope="module")
def figures() -> Figures:
    """A few families, few runs."""
    return scoreboard(tuple(each for each in FAMILIES if each.name in SOME), 40, seed=5, paths=500)


def test_every_family_is_told(figures: Figures) -> None:
    """Each family has its rows, and the numbers of runs add up."""
    said = page(figures)
    for family in FAMILIES:
        assert (f"| {family.title}" in said) == (family.name in SOME)
    assert {line.family.name for line in goals(figures)} == set(SOME)
    others = said.split("## Another's fault")[1]
    assert "Hold 10 (SharedWithControls)" in others, "why an outage is not rolled back"
    assert "**10** of 10" in others, "an outage with nothing to compare with is told as it is"
    assert all(f"| {leg.title} |" in said for leg in LEGS)
    assert "Hold 2 (BreachedBefore)" in said.split("## Rare events")[1]


def test_too_few_runs_are_told(figures: Figures) -> None:
    """None of 40 is no proof of one in 1000, and is not called so."""
    line = next(each for each in goals(figures) if each.family.name == "clean-10")
    assert line.met is None


def test_plots_are_xml(figures: Figures) -> None:
    """Both plots parse, and show Rollguard's mark in each panel and row."""
    for drawn, marks in ((delays(figures), 4), (served(figures), 4)):
        root = ET.fromstring(drawn)
        assert len(root.findall("{http://www.w3.org/2000/svg}polygon")) == marks


def test_the_page_in_docs_is_made_from_its_figures() -> None:
    """docs/scoreboard.md and its plots are what the program writes for docs/scoreboard/figures.json."""
    beside = DOCS / "scoreboard"
    kept = json.loads((beside / "figures.json").read_text())
    assert (DOCS / "scoreboard.md").read_text() == page(kept)
    assert (beside / "delay.svg").read_text() == delays(kept)
    assert (beside / "served.svg").read_text() == served(kept)
    assert set(kept["families"]) == {family.name for family in FAMILIES}
    assert Path(DOCS / "scoreboard.md").stat().st_size < 100_000


def test_wilson() -> None:
    """Known values; and eleven of 20,000 are the most that show one in 1000."""
    assert wilson(0, 20_000)[1] == pytest.approx(1.92e-4, rel=0.01)
    assert wilson(11, 20_000)[1] <= 1e-3 < wilson(13, 20_000)[1]
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
