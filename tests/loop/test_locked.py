"""Locked configuration in a whole controller on real Git: a push is put back, and promotions go through all the same."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.core.promotion.progress import Phase, Place
from tests.loop.site import Site, until
from tests.loop.test_promotion import STAGES, Line, values
from tests.servers.git import run_git
from tests.servers.registry import DockerRegistry

FILE = "apps/staging/values.yaml"


@pytest.fixture
def line(make_site: Callable[..., Site], tmp_path: Path) -> Iterator[Line]:
    """Two stages, of which the second has locked fields."""
    locked = [{"file": FILE, "fields": ["replicas", "image.tag"]}]
    with DockerRegistry(tmp_path) as registry:
        yield Line(make_site(*STAGES), registry, locked=locked, onLockedChange="Restore")


def look(line: Line) -> None:
    """As a webhook of the forge lets it."""
    assert line.site.running is not None
    line.site.running.promoter.hint(lambda _pipeline: False, lambda _pipeline: True)


def text(line: Line) -> str:
    """What the branch holds."""
    return run_git("show", f"main:{FILE}", cwd=line.site.remote.folder).decode()


def test_a_push_is_put_back_and_promotions_go_through(line: Line) -> None:
    """Replicas are put back once; the promotion of a new version changes the locked tag and is left alone."""
    line.site.start()
    until(lambda: line.progress.guard_of(Place("staging")), "the first look")
    before = text(line)
    line.site.remote.commit({FILE: before.replace("replicas: 2", "replicas: 50")}, "More")
    look(line)
    until(lambda: text(line) == before, "the restore")
    assert line.commits()[0] == "Put back what is locked in staging of checkout"
    line.push("v1.1.0")
    until(lambda: line.is_in("staging", "1.1.0", Phase.PASSED), "the version in staging")
    look(line)
    until(lambda: line.progress.guard_of(Place("staging")).seen == line.site.remote.head(), "the last look")  # type: ignore[union-attr]
    assert text(line) == values("v1.1.0")
    assert len([each for each in line.commits() if each.startswith("Put back")]) == 1
