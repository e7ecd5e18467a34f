"""Git that is down, raced, corrupted, or shared by two installations: one restore, and none lost."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.adapters.repository import GitRepository
from tests.faults.parts import BOT, deployed, idle, open_alerts, restoring
from tests.loop.site import Site, manifest, until
from tests.servers.git import Fault, HttpGit, run_git


@pytest.fixture
def http(tmp_path: Path) -> Iterator[HttpGit]:
    """A Git server over HTTP for all that lies in this test's folder."""
    server = HttpGit(tmp_path)
    yield server
    server.close()


def over_http(site: Site, http: HttpGit, tmp_path: Path) -> Site:
    """Let the controller reach the repository by HTTP with a token."""
    site.url = http.url(site.remote)
    run_git("config", "http.receivepack", "true", cwd=site.remote.folder)
    token = tmp_path / "token"
    token.write_text(http.token)
    site.extra = {"repositories": [{"url": site.url, "credentials": {"tokenFile": str(token)}}]}
    return site


def test_git_down_while_it_breaches_keeps_the_intent_and_pages(site: Site, http: HttpGit, tmp_path: Path) -> None:
    """The server answers 503 when the restore is due: tried again, paged, and one restore once it is back."""
    over_http(site, http, tmp_path).start()
    bad = site.commit("two", 0.3)
    until(lambda: deployed(site, "two"), "deployment")
    http.fault = Fault.UNAVAILABLE
    until(lambda: "RollguardRollbackFailed" in open_alerts(site), "page")
    assert site.remote.head() == bad
    http.fault = Fault.NONE
    until(site.restores, "restore")
    until(lambda: deployed(site, "one"), "redeployment")
    assert len(site.restores()) == 1
    assert "RollguardRollbackFailed" not in open_alerts(site)


def raced(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[object]:
    """Let somebody act just before the controller's first push; what came of it is the list's only entry."""
    acted: list[object] = []
    push = GitRepository.push

    def racing(self: GitRepository, *arguments: object, **named: object) -> object:
        if not acted:
            acted.append(act())
        return push(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(GitRepository, "push", racing)
    return acted


def test_an_unrelated_commit_that_races_the_push_survives(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses the stale push; the restore is built again on the new head, once."""
    site.start()
    notes = raced(monkeypatch, lambda: site.remote.commit({"docs/note.md": "a note\n"}, "Notes"))
    site.commit("two", 0.3)
    until(lambda: deployed(site, "one") and site.restores(), "redeployment")
    assert len(site.restores()) == 1
    assert site.remote.files()["docs/note.md"] == b"a note\n"
    assert notes[0] in site.remote.log()


def test_a_persons_revert_that_races_the_push_is_the_restore(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody runs git revert in the same moment: theirs stands alone, is deployed, and the alerts end."""
    site.start()
    theirs = raced(
        monkeypatch,
        lambda: site.remote.commit({"apps/checkout/app.yaml": manifest("one")}, 'Revert "Deploy two"'),
    )
    site.commit("two", 0.3)
    until(lambda: theirs and deployed(site, "one"), "their revert")
    until(lambda: idle(site), "recovery")
    assert site.restores() == []
    assert site.remote.head() == theirs[0]
    assert open_alerts(site) == set()


def test_a_mirror_that_breaks_before_the_restore_is_cloned_again(site: Site) -> None:
    """The disk has eaten the mirror's objects when the verdict comes: made anew, and the restore goes out."""
    site.start()
    site.commit("two", 0.3)
    until(lambda: deployed(site, "two"), "deployment")
    until(lambda: site.rollout().analysis is not None, "analysis")
    broken = list((site.folder / "state" / "mirrors").rglob("objects"))
    assert broken
    for each in broken:
        shutil.rmtree(each)
        each.write_text("no folder any more")
    until(site.restores, "restore")
    until(lambda: deployed(site, "one"), "redeployment")
    assert len(site.restores()) == 1


def test_two_installations_on_one_path_make_one_restore(make_site: Callable[..., Site]) -> None:
    """Two controllers with stores of their own see the same breach: one restore in the branch, and both deploy it."""
    first, second = make_site(), make_site()
    second.remote, second.url = first.remote, first.url
    for each in (first, second):
        each.start()
    first.commit("two", 0.3)
    until(lambda: all(deployed(each, "two") for each in (first, second)), "deployment")
    until(lambda: all(deployed(each, "one") for each in (first, second)), "redeployment")
    until(lambda: all(idle(each) for each in (first, second)), "recovery")
    assert len(first.restores()) == 1


def test_a_bot_that_brings_it_back_meets_a_freeze_and_not_a_war(site: Site) -> None:
    """Whenever the restore is deployed a bot commits the bad version again: restored once more, then frozen and paged."""
    site.declare("checkout", quarantine="RestoreOnce")
    site.start()
    site.commit("two", 0.3)
    for count in (1, 2):
        until(lambda count=count: len(site.restores()) == count and deployed(site, "one"), "restore")  # type: ignore[misc]
        until(lambda: restoring(site) is None or site.rollout().analysis is not None, "landing")
        site.commit("two", 0.3, author=BOT)
    until(lambda: site.rollout().frozen, "freeze")
    until(lambda: deployed(site, "two"), "deployment")
    assert len(site.restores()) == 2
    assert "RollguardQuarantined" in open_alerts(site)
