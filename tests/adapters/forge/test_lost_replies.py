"""A reply that is lost after the forge did what it was asked: looked after, and never done again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.forge import PullRequestState
from controller.core.forge_links import ForgeKind
from controller.core.forge_writing import MergeRequest, MergeResult
from controller.core.markdown import marked
from controller.ports.forge import ForgeUnavailable
from tests.adapters.forge.desks import DRAFT, ForgeDesk
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import BOT
from tests.servers.forge_api import Call
from tests.servers.github_forge import GithubForgeApi
from tests.servers.gitlab_forge import GitlabForgeApi

MAKERS = {ForgeKind.GITHUB: GithubForgeApi, ForgeKind.GITLAB: GitlabForgeApi}
PULLS = {ForgeKind.GITHUB: "/pulls", ForgeKind.GITLAB: "/merge_requests"}
NOTES = {ForgeKind.GITHUB: "/comments", ForgeKind.GITLAB: "/notes"}


@pytest.fixture(params=list(MAKERS))
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForgeDesk]:
    made = ForgeDesk(request.param, MAKERS[request.param](), tmp_path)
    with made.receiver:
        yield made


def test_an_opening_whose_reply_is_lost_is_found(desk: ForgeDesk) -> None:
    """One pull request, asked for once, and returned."""
    desk.begin()
    desk.lose_replies("POST", PULLS[desk.kind])
    opened = desk.forge().open(DRAFT)
    assert opened.number in desk.api.state.pulls
    assert len(desk.api.state.pulls) == len(desk.asked("POST", PULLS[desk.kind])) == 1


def test_an_opening_that_cannot_be_looked_after_says_so(desk: ForgeDesk) -> None:
    """The forge is gone: an unclear error; the next call finds what was done."""
    desk.begin()
    forge = desk.forge()

    def lose(call: Call) -> bool:
        return bool(desk.asked("POST", PULLS[desk.kind]))

    desk.api.lose = lose
    with pytest.raises(ForgeUnavailable):
        forge.open(DRAFT)
    desk.api.lose = lambda _: False
    assert forge.open(DRAFT).number in desk.api.state.pulls
    assert len(desk.api.state.pulls) == 1


def test_a_merge_whose_reply_is_lost_is_merged(desk: ForgeDesk) -> None:
    """The look says so, and it is asked for once."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    desk.lose_replies("PUT", "/merge")
    outcome = forge.merge(MergeRequest(opened.number, opened.head))
    assert (outcome.result, outcome.revision) == (MergeResult.MERGED, desk.api.state.branches["main"])
    assert len(desk.asked("PUT", "/merge")) == 1


def test_a_merge_that_did_not_happen_is_unclear(desk: ForgeDesk) -> None:
    """The forge fell over while it merged: it is still open, so nobody says Merged, and nobody tries again here."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    desk.lose_replies("PUT", "/merge")
    desk.api.state.merge = lambda *_, **__: opened.head  # type: ignore[method-assign]  does nothing
    outcome = forge.merge(MergeRequest(opened.number, opened.head))
    assert outcome.result is MergeResult.UNCLEAR
    assert len(desk.asked("PUT", "/merge")) == 1


def test_a_comment_whose_reply_is_lost_is_not_doubled(desk: ForgeDesk) -> None:
    """The next call finds it by its marker."""
    forge = desk.forge()
    number = desk.proposed(forge).number
    desk.lose_replies("POST", NOTES[desk.kind])
    with pytest.raises(ForgeUnavailable):
        forge.comment(number, "promotion/checkout", "Waits.")
    forge.comment(number, "promotion/checkout", "Waits.")
    assert [each.body for each in desk.api.state.pulls[number].comments] == [marked("promotion/checkout", "Waits.")]


def test_labels_that_are_missing_after_a_crash_are_put_on_later(desk: ForgeDesk) -> None:
    """Opened without its labels, since the process ended in between: opening again repairs it."""
    desk.begin()
    made = desk.api.state.open(DRAFT.head_branch, "main", DRAFT.title, DRAFT.body, BOT)
    wanted = desk.forge().open(type(DRAFT)(DRAFT.head_branch, "main", DRAFT.title, DRAFT.body, frozenset({"mine"})))
    assert made.labels == wanted.labels == {"mine"}
    assert not desk.asked("POST", PULLS[desk.kind])


def test_the_fake_loses_replies_alike() -> None:
    """What runs against the fake meets the same."""
    forge = InMemoryForge()
    forge.state.commit("main", {"app.yaml": "image: one\n"}, by="ann")
    forge.state.commit(DRAFT.head_branch, {"app.yaml": "image: two\n"}, by=BOT)
    forge.lost = 1
    opened = forge.open(DRAFT)
    forge.lost = 1
    assert forge.merge(MergeRequest(opened.number, opened.head)).result is MergeResult.MERGED
    assert forge.pull_request(opened.number).state is PullRequestState.MERGED
    forge.down = ForgeUnavailable("down")
    with pytest.raises(ForgeUnavailable):
        forge.pull_request(opened.number)
