"""How the composition root finds the forge around a repository, and whether Git speaks to it as the same user."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.app.forges import Forges
from controller.settings import Settings
from tests.fakes.manual_clock import ManualClock

URL = "https://git.example.com/shop/manifests.git"
FORGE = "https://git.example.com"


def forges(
    folder: Path,
    url: str = URL,
    *,
    git: str = "token",
    forge: str | None = "token",
    kind: str = "gitea",
    commits: str = "Git",
) -> Forges:
    """Forges of settings with one repository; both name a file with a token."""
    for name in ("token", "other"):
        (folder / name).write_text("s3cret")
    entry: dict[str, Any] = {"url": url, "credentials": {"tokenFile": str(folder / git)}}
    if forge is not None:
        entry["forge"] = {"type": kind, "url": FORGE, "tokenFile": str(folder / forge), "commits": commits}
    document = {
        "metricsSources": {"default": {"prometheus": {"url": "http://127.0.0.1:9090"}}},
        "store": {"sqlite": str(folder / "state.db")},
        "repositories": [entry],
    }
    return Forges(Settings.model_validate(document), ManualClock(), lambda _: None)


@pytest.mark.parametrize(("other", "same"), [("token", True), ("other", False)])
def test_one_file_for_both_is_one_user(tmp_path: Path, other: str, same: bool) -> None:
    """What the forge tells its token holds for Git's pushes only where both log in with the same file."""
    beside = forges(tmp_path, forge=other).beside(URL)
    assert beside is not None
    assert beside.same_user is same
    assert beside.forge.links.home == f"{FORGE}/shop/manifests"


def test_where_no_forge_is_named_there_is_none(tmp_path: Path) -> None:
    """Named for none, or for another repository: no pull requests, and no complaint."""
    found = forges(tmp_path, forge=None)
    with capture_logs() as logs:
        for url in (URL, "https://git.example.com/shop/other.git"):
            assert (found.find(url), found.links(url), found.beside(url)) == (None, None, None)
    assert logs == []


def test_an_address_that_no_forge_has_is_said_and_is_no_fault(tmp_path: Path) -> None:
    """The repository's address names no project of the forge: restores are offered on branches, as without one."""
    url = "https://git.example.com/manifests.git"
    found = forges(tmp_path, url)
    with capture_logs() as logs:
        assert (found.links(url), found.beside(url)) == (None, None)
    assert {line["log_level"] for line in logs} == {"warning"}


@pytest.mark.parametrize(("commits", "always"), [("Git", False), ("Forge", True)])
def test_github_makes_commits_and_the_settings_say_which(tmp_path: Path, commits: str, always: bool) -> None:
    """Those that a branch refuses unsigned, or all of them; Gitea makes none."""
    found = forges(tmp_path, kind="github", commits=commits).committing(URL)
    assert found is not None
    assert found.always is always
    assert forges(tmp_path).committing(URL) is None
    assert forges(tmp_path, forge=None).committing(URL) is None
