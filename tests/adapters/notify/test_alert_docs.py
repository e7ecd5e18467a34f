"""Each alert has its section in docs/alerts.md, since runbook links point there."""

import re
from pathlib import Path

import pytest

from controller.core.alerts import CRITICAL, AlertName

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
SECTIONS = dict(re.findall(r"^## (Rollguard\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", list(AlertName))
def test_each_alert_says_what_it_means_and_what_to_do(name: AlertName) -> None:
    """Its severity, what to look at, what to do, and when it is over."""
    section = SECTIONS[name.value]
    assert section.strip().startswith("*Critical.*" if name in CRITICAL else "*Warning.*")
    for part in ("**Look**", "**Do**", "**Over**"):
        assert part in section


def test_no_section_describes_an_alert_that_does_not_exist() -> None:
    """A renamed alert leaves nothing behind."""
    assert set(SECTIONS) == {name.value for name in AlertName}


def test_links_within_the_page_lead_somewhere() -> None:
    """Anchors are the alerts' names in lower case, as forges make them."""
    anchors = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert anchors <= {name.lower() for name in SECTIONS}
