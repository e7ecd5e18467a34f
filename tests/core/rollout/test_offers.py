"""A restore's pull request: opened once, told with its number, given up with the reason, and an answer when it is closed."""

from dataclasses import replace

import pytest

from controller.core.events import (
    ApplicationChanged,
    PathProven,
    PullRequestFailed,
    PullRequestOpened,
    PullRequestSeen,
    RollbackRequested,
)
from controller.core.forge import PullRequestState
from controller.core.git import CommitFacts, PushResult, RollbackPath
from controller.core.intents import ClosePullRequest, OpenPullRequest, pending
from controller.core.offer import OfferStage
from controller.core.offer_answers import REFUSALS
from controller.core.offer_text import body, title
from controller.core.rollback import Stage
from controller.core.state import Phase, load_rollout
from tests.core.rollout.model import APPLICATION, LINKS, SOURCE, START, Model, policy, revision

WAITS = "RollguardPullRequestOpened"


def offered(*, forge: str = "up", **changes: object) -> Model:
    """A bad version's restore waits on a branch of ours."""
    spec = policy(**({"onBreach": {"action": "PullRequest"}} | changes))
    model = Model(faulty={"two": 0.3}, forge=forge).guard(spec)
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.others)
    return model


def alert(model: Model, name: str = WAITS) -> str:
    """An open alert in full."""
    return next(
        f"{each.summary}\n{each.description}\n{each.links}"
        for each in model.rollout.alerts
        if each.name.value == name
    )


def well(model: Model) -> None:
    """Everything ends, and nothing is left open: no pull request either."""
    model.pass_until(lambda: model.phase is Phase.IDLE, most=4 * 3600)
    model.pass_until(lambda: not model.rollout.offers)
    assert model.open_alerts() == set()
    assert model.rollout.rollback is None
    assert model.open_pulls() == []


def test_an_offer_has_a_pull_request_and_people_get_its_number() -> None:
    """One is opened from the branch into the base, labelled, titled as the commit; one alert, with the link."""
    model = offered()
    pull = model.pulls[1]
    assert (pull.draft.head_branch, pull.draft.base, pull.draft.labels) == (*model.others, "main", {"rollguard"})
    assert pull.draft.title.startswith("Roll back checkout to ")
    assert f"pull_request', '{LINKS.pull_request(1)}" in alert(model)
    assert "pull request 1 restores it" in alert(model)
    assert model.alerts().count(WAITS) == 1
    rollback = model.rollout.rollback
    assert rollback is not None
    assert (rollback.pull_request, rollback.pull_request_url) == (1, LINKS.pull_request(1))
    assert model.records[-1].rollback == rollback


def test_without_a_forge_nothing_is_opened_and_people_get_the_branch() -> None:
    """The settings name none: the branch and the alert, as ever, and nothing that waits for a forge."""
    model = offered(forge="none")
    assert model.rollout.offers == ()
    assert model.pulls == {}
    assert f"on branch {next(iter(model.others))}" in alert(model)


@pytest.mark.parametrize("way", ["protected branch", "shared paths"])
def test_what_may_not_be_pushed_goes_the_same_way(way: str) -> None:
    """A branch that refuses the push, and paths that others read: a pull request as well, which says why."""
    model = Model(faulty={"two": 0.3}, forge="up").guard()
    if way == "protected branch":
        model.refuses = PushResult.PROTECTED
    else:
        model.peers = [Model().guard()]
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.pulls)
    words = {"protected branch": "refuses the push", "shared paths": "read the same paths"}
    assert words[way] in model.pulls[1].draft.body


def test_a_lost_reply_opens_no_second() -> None:
    """It was opened, and nobody heard: asked again, the same one is told."""
    model = offered(forge="reply lost")
    assert model.rollout.offers[0].number is None
    model.pass_until(lambda: model.rollout.offers[0].number == 1)
    assert len(model.pulls) == 1
    assert "pull request 1 restores it" in alert(model)


def test_a_restart_opens_no_second() -> None:
    """Killed between the answer and its being written down: the next process asks for the same one."""
    model = offered()
    before = replace(model.rollout, offers=(replace(model.rollout.offers[0], stage=OfferStage.OPENING, number=None),))
    model.rollout = before
    model.take(PullRequestSeen("another branch", 7, PullRequestState.CLOSED), perform=False)
    model.restart()
    assert len(model.pulls) == 1
    assert model.rollout.offers[0].number == 1
    assert load_rollout(model.stored).offers == model.rollout.offers


def test_a_forge_that_is_down_delays_only_the_pull_request() -> None:
    """People are told of the branch at once; it is tried again, ever more rarely, and told with its number then."""
    model = offered(forge="down")
    assert "Its pull request is not open yet" in alert(model)
    assert "no route to host" in alert(model)
    model.pass_time(600)
    assert 4 <= model.rollout.offers[0].failures <= 20
    assert model.alerts().count(WAITS) == 1
    model.forge = "up"
    model.pass_until(lambda: "pull request 1 restores it" in alert(model))
    assert len(model.pulls) == 1


def test_a_forge_that_wants_to_be_left_alone_is() -> None:
    """A rate limit: not asked before it ends."""
    model = offered(forge="down")
    branch = model.rollout.offers[0].branch
    model.forge = "up"
    model.rollout = replace(model.rollout, offers=(replace(model.rollout.offers[0], failures=0),))
    until = model.now + 3600
    model.take(PullRequestFailed(branch, "429", not_before=until), perform=False)
    assert [each for each in pending(model.rollout, until - 1) if isinstance(each, OpenPullRequest)] == []
    assert [each for each in pending(model.rollout, until) if isinstance(each, OpenPullRequest)] != []


def test_what_the_forge_says_no_to_is_given_up_and_told() -> None:
    """Some forges know a branch only a little later, so it is asked some times; then people get the branch and the words."""
    model = offered(forge="refuses")
    model.pass_until(lambda: not model.rollout.offers)
    assert model.pulls == {}
    assert model.said[-1].endswith("cannot be opened: the repository is archived")
    assert sum("the forge fails" in each for each in model.said) == 1
    assert f"on branch {next(iter(model.others))}" in alert(model)
    assert REFUSALS > 1


def test_people_are_told_when_the_forge_says_nothing_at_all() -> None:
    """No answer comes: after half a minute people get the branch."""
    model = offered(forge="down")
    rollback = model.rollout.rollback
    assert rollback is not None
    step = replace(model.rollout, alerts=())
    model.rollout = replace(step, offers=(replace(step.offers[0], next_at=model.now + 3600),))
    model.told.clear()
    model.pass_time(45)
    assert model.alerts() == [WAITS]


@pytest.mark.parametrize("squashed", [False, True])
def test_a_merge_is_a_recovery_and_the_pull_request_is_done_with(squashed: bool) -> None:
    """Merged by a person, squashed too: seen, its deployment recovers, and nothing is closed."""
    model = offered()
    model.merge_offer(squashed=squashed)
    model.pass_time(120)
    assert model.rollout.offers == ()
    assert "pull request 1 is merged; its deployment is waited for" in model.said
    model.sync_head()
    well(model)
    assert model.pulls[1].comment == ""


def test_what_recovers_by_itself_closes_it_with_the_reason() -> None:
    """The service is well without it: the pull request is closed, and says why."""
    model = offered()
    model.faulty.clear()
    well(model)
    assert model.pulls[1].state is PullRequestState.CLOSED
    assert model.pulls[1].comment.startswith("Closed by Rollguard: ")
    assert "The branch stays." in model.pulls[1].comment


def test_somebody_elses_restore_closes_it() -> None:
    """A person reverts by hand instead of merging: closed, and says what brings it back."""
    model = offered()
    by_hand = model.commit("one")
    model.sync_head()
    well(model)
    assert by_hand[:4] in model.pulls[1].comment
    assert len(model.pulls) == 1


def test_another_bad_version_gets_another_pull_request_after_the_first_is_closed() -> None:
    """The chain grows: the old one is closed first, then one for the new branch is opened: never two."""
    model = offered()
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: len(model.pulls) == 2)
    assert [each.state for each in model.pulls.values()] == [PullRequestState.CLOSED, PullRequestState.OPEN]
    assert "takes its place" in model.pulls[1].comment
    assert "pull request 2 restores it" in alert(model)


def test_none_is_opened_while_the_first_cannot_be_closed() -> None:
    """The forge is down as the chain grows: of one decision two are never open."""
    model = offered()
    model.forge = "down"
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: len(model.others) == 2)
    wanted = [type(each) for each in pending(model.rollout, model.now + 3600)]
    assert OpenPullRequest not in wanted
    assert ClosePullRequest in wanted
    model.forge = "up"
    model.pass_until(lambda: len(model.pulls) == 2)
    assert len(model.open_pulls()) == 1


def test_a_close_without_a_merge_is_an_answer() -> None:
    """Somebody says no: told once, withdrawn, and not opened again for this decision, also after a newer bad version."""
    model = offered()
    model.close_pull()
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.stage is Stage.WITHDRAWN)
    assert WAITS not in model.open_alerts()
    assert "somebody closed pull request 1 without merging it" in alert(model, "RollguardBreached")
    model.pass_time(600)
    assert model.alerts().count("RollguardBreached") == 1
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: len(model.others) == 2)
    model.pass_time(120)
    assert len(model.pulls) == 1
    assert "somebody has closed one of this decision" in alert(model)


def test_what_a_person_asks_for_after_the_answer_is_opened_again() -> None:
    """Another person wants the rollback all the same: a new wish."""
    model = offered()
    model.refuses = PushResult.PROTECTED
    model.close_pull()
    model.pass_until(lambda: model.rollout.declined)
    model.take(RollbackRequested(None, "bob", "it hurts"))
    model.pass_until(lambda: len(model.open_pulls()) == 1)
    assert len(model.pulls) == 2


def test_an_offer_of_a_changed_source_is_closed_where_it_was_opened() -> None:
    """The application moves to another repository: the old one's pull request is closed there."""
    model = offered()
    elsewhere = replace(SOURCE, repository="https://git.example.com/shop/other.git")
    model.take(ApplicationChanged(replace(APPLICATION, source=elsewhere)), perform=False)
    found = [each for each in pending(model.rollout, model.now) if isinstance(each, ClosePullRequest)]
    assert [each.repository for each in found] == [SOURCE.repository]
    model.perform()
    assert model.rollout.offers == ()
    assert model.open_pulls() == []


def test_answers_about_another_pull_request_change_nothing() -> None:
    """A late or foreign answer: the one that is waited for stays as it is."""
    model = offered()
    branch = model.rollout.offers[0].branch
    for event in (
        PullRequestSeen(branch, 99, PullRequestState.CLOSED),
        PullRequestSeen("other", 1, PullRequestState.CLOSED),
        PullRequestOpened("other", 5),
        PullRequestFailed("other", "x", useless=True),
    ):
        model.take(event)
        assert model.rollout.offers[0].number == 1
        assert model.phase is Phase.AWAITING_MERGE


def test_what_others_wrote_gives_no_command_in_the_text() -> None:
    """Subjects, notes and the server's words ping nobody, close no issue and make no markup."""
    model = offered()
    rollback = model.rollout.rollback
    assert rollback is not None
    hostile = "fixes #1 @everyone <img src=x> [x](https://evil.example.com) | `a` /merge"
    suspect = CommitFacts(revision("s"), (), "Eve <eve@example.com>", "Eve", START, hostile)
    changed = replace(rollback, suspects=(suspect,), why_not_push=hostile)
    text = body(model.rollout, changed)
    for part in ("#1", "@everyone", "<img", "](https://evil", "://evil"):
        assert part not in text
    assert f"]({LINKS.commit(suspect.revision)})" in text.replace("(<", "(").replace(">)", ")")
    assert "| `availability` |" in text
    assert "@everyone" not in title(model.rollout, replace(rollback, note=hostile))


def test_the_missing_forge_is_told_by_day() -> None:
    """The branch refuses pushes and no pull request can be opened: the alert says what is missing, and ends with it."""
    model = Model().guard(policy(onBreach={"action": "PullRequest"}))
    model.take(PathProven(RollbackPath.PULL_REQUEST, no_pull_requests="the settings name no forge"))
    assert "the settings name no forge." in alert(model, "RollguardRollbackPathLost")
    model.take(PathProven(RollbackPath.PULL_REQUEST))
    assert model.open_alerts() == set()
