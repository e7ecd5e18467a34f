"""The promotion's machine, in a small world: what goes where, what waits, and what never goes on."""

from dataclasses import replace

import pytest

from controller.core.forge import Participants, PullRequestState
from controller.core.forge_writing import ForgeCommits
from controller.core.git import PushOutcome, PushResult
from controller.core.promotion.asking import promote
from controller.core.promotion.intents import (
    CommitByForge,
    CommitPushed,
    LeaveQueue,
    MergePull,
    OpenPull,
    Prepare,
    PromotionEvent,
    PromotionIntent,
    PushCommit,
)
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Approval, Freeze, Phase, Request
from controller.core.promotion.standing import Judged
from tests.core.promotion.world import PIPELINE, World, pipeline, place, version

HOUR = 3600.0


def in_staging() -> World:
    """A world in which version 1 has passed dev, and is merged into staging."""
    world = World()
    world.run()
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    world.run()
    return world


def in_production() -> World:
    """A world in which version 1 is proposed for production, and has soaked."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.HEALTHY, place("staging"))
    world.run()
    world.wait(HOUR)
    world.run()
    return world


def test_a_new_version_is_written_to_the_first_stage_at_once() -> None:
    """A found version is prepared and pushed to dev without asking anybody, and to nowhere else."""
    world = World()
    done = world.run()
    assert [type(each) for each in done] == [Prepare, PushCommit]
    assert (world.holds("dev"), world.holds("staging")) == ("v1.1.0", "v1.0.0")
    assert world.passage("dev").phase is Phase.DEPLOYING


def test_a_version_goes_on_once_it_has_passed() -> None:
    """Judged good in dev, it is proposed and merged into staging; while it is judged nothing is proposed."""
    world = World()
    world.run()
    world.deploy()
    assert world.run() == []
    world.judge(Judged.PASSED, place("dev"))
    done = [type(each) for each in world.run()]
    assert done == [Prepare, PushCommit, OpenPull, MergePull]
    assert (world.holds("staging"), world.holds("production")) == ("v1.1.0", "v1.0.0")


def test_what_was_not_judged_does_not_go_on() -> None:
    """Adopted, presumed or inconclusive is not Healthy: nothing leaves dev, and the sentence says why."""
    world = World()
    world.run()
    world.deploy()
    world.judge(Judged.NOT_SHOWN, place("dev"))
    assert world.run() == []
    assert "nothing shows that it keeps its SLO" in world.passage("dev").sentence


def test_production_waits_for_the_soak_and_for_an_approval() -> None:
    """An hour Healthy in staging first, then a pull request that is merged only once somebody else has approved it."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.HEALTHY, place("staging"))
    assert world.run() == []
    assert "1h are over" in world.passage("production").sentence
    world.wait(HOUR)
    assert [type(each) for each in world.run()] == [Prepare, PushCommit, OpenPull]
    number = world.passage("production").pull_number
    assert number is not None
    assert world.passage("production").sentence == f"pull request {number}: 1 approval from alice and bob is missing"
    world.approve(number, "alice")
    assert [type(each) for each in world.run()] == [MergePull]
    assert world.holds("production") == "v1.1.0"
    assert world.passage("production").approved_by == ("alice",)


def test_an_author_cannot_approve() -> None:
    """Who wrote the version is named, and does not count."""
    world = in_production()
    world.authors = Participants(frozenset({"Alice"}))
    number = world.passage("production").pull_number
    assert number is not None
    world.approve(number, "alice")
    assert world.run() == []
    assert "alice wrote or triggered it and cannot approve it" in world.passage("production").sentence
    world.approve(number, "bob")
    assert [type(each) for each in world.run()] == [MergePull]


def test_an_approval_counts_only_for_the_head_it_was_given_for() -> None:
    """A newer version in the same pull request needs approvals anew."""
    world = in_production()
    number = world.passage("production").pull_number
    assert number is not None
    world.approve(number, "alice")
    world.versions = (version(2), version(1))
    world.authors = Participants(complete=False)
    world.run()
    assert world.passage("production").version.name == "1.1.0"
    assert world.holds("production") == "v1.0.0"
    assert "does not tell all who wrote" in world.passage("production").sentence


def test_a_bad_version_is_stopped_everywhere() -> None:
    """A breach in staging stops the version there; production is never touched, and people are told once."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.BREACHED, place("staging"))
    world.wait(2 * HOUR)
    assert world.run() == []
    assert world.passage("staging").phase is Phase.STOPPED
    world.commit(staging="v1.0.0")
    world.deploy()
    world.judge(Judged.HEALTHY)
    world.wait(2 * HOUR)
    assert world.run() == []
    assert world.holds("production") == "v1.0.0"
    assert world.alerts == ["RollguardPromotionStopped"]


def test_a_late_breach_takes_an_open_pull_request_back() -> None:
    """Found bad in staging after its early pass, the version's pull request for production is closed."""
    world = in_production()
    number = world.passage("production").pull_number
    world.judge(Judged.BREACHED, place("staging"))
    world.run()
    assert number is not None
    assert not world.pulls[number].open
    assert world.passage("production").phase is Phase.STOPPED


def test_the_version_after_a_bad_one_may_go() -> None:
    """A fix is a new version: it goes its way from the start."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.BREACHED, place("staging"))
    world.run()
    world.commit(staging="v1.0.0")
    world.versions = (version(2), version(1))
    world.deploy()
    world.judge(Judged.HEALTHY, place("staging"))
    world.run()
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    world.run()
    assert (world.holds("dev"), world.holds("staging")) == ("v1.2.0", "v1.2.0")


def test_what_a_person_took_back_is_not_put_back() -> None:
    """A person's revert in dev stays; a person may promote it again."""
    world = World()
    world.run()
    world.commit(dev="v1.0.0")
    assert world.run() == []
    assert world.passage("dev").phase is Phase.TAKEN_BACK
    world.wait(HOUR)
    assert world.run() == []
    world.progress = replace(world.progress, requests=(Request("dev", version(1).identity, "dora", world.now),))
    world.run()
    assert world.holds("dev") == "v1.1.0"


def test_a_closed_pull_request_is_not_opened_again() -> None:
    """Somebody closed it: that is an answer."""
    world = in_production()
    number = world.passage("production").pull_number
    assert number is not None
    world.pulls[number] = replace(world.pulls[number], state=PullRequestState.CLOSED)
    assert world.run() == []
    assert world.passage("production").phase is Phase.TAKEN_BACK
    world.wait(HOUR)
    assert world.run() == []


def test_a_newer_version_takes_the_place_of_an_open_pull_request() -> None:
    """One pull request for a place, brought up to date: never two."""
    world = in_staging()
    world.refuses.add("merge")
    world.versions = (version(2), version(1))
    world = in_production()
    world.versions = (version(2), version(1))
    world.run()
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    world.run()
    world.deploy()
    world.judge(Judged.HEALTHY, place("staging"))
    world.run()
    world.wait(HOUR)
    world.run()
    assert world.passage("production").version.name == "1.2.0"
    assert [each.title for each in world.pulls.values() if each.open] == ["Promote checkout 1.2.0 to production"]


def test_a_branch_that_refuses_pushes_gets_a_pull_request() -> None:
    """A protected dev branch is no dead end."""
    world = World()
    world.refuses.add("main")
    assert OpenPull in [type(each) for each in world.run()]
    assert world.passage("dev").phase is Phase.PROPOSED


def test_a_freeze_holds_everything_up() -> None:
    """Stop the line: nothing is written, and it says who and why; thawed, it goes on."""
    world = World()
    world.progress = replace(world.progress, freezes=(Freeze("dora", 0.0, "incident 7"),))
    assert world.run() == []
    assert world.passage("dev").sentence == "dora stopped the line: incident 7"
    world.progress = replace(world.progress, freezes=())
    world.run()
    assert world.holds("dev") == "v1.1.0"


def test_a_bypass_needs_no_approval() -> None:
    """A named person's hotfix goes without soak and approvals."""
    world = in_staging()
    request = Request("production", version(1).identity, "dora", world.now, "login is broken")
    world.progress = replace(world.progress, requests=(request,))
    world.run()
    assert world.holds("production") == "v1.1.0"
    assert world.passage("production").bypassed_by == "dora"


def test_a_request_that_is_answered_holds_up_nothing() -> None:
    """Asked for what is on its way already, or is not to be had any more, the stage takes the next version all the same."""
    for identity in (version(1).identity, "sha256:" + "f" * 64):
        world = in_staging()
        request = Request("staging", identity, "dora", world.now)
        world.progress = replace(world.progress, requests=(request,))
        world.run()
        assert world.progress.requests == ()
        world.deploy()
        world.judge(Judged.PASSED, place("staging"))
        world.versions = (version(2), version(1))
        world.run()
        world.deploy()
        world.judge(Judged.PASSED, place("dev"))
        world.run()
        assert world.holds("staging") == "v1.2.0"


def test_each_bypass_is_told() -> None:
    """A second hotfix is told as the first was: what was told of the first is over once its version has passed."""
    declared = pipeline(PIPELINE.replace("notAuthor: true}", "notAuthor: true, bypass: [dora]}"))
    world = World(declared)
    for number in (1, 2):
        world.versions = tuple(version(each) for each in range(number, 0, -1))
        world.run()
        identity = version(number).identity
        move = promote(
            Move(declared, world.progress, world.facts(), world.now), "production", identity, "dora", "hot"
        )
        world._taken(move)
        world.run()
        assert world.holds("production") == f"v1.{number}.0"
        world.deploy()
        world.judge(Judged.HEALTHY, place("production"))
        world.run()
    bypasses = [each for each in world.alerts if "Bypassed" in each]
    assert bypasses == ["RollguardApprovalBypassed", "RollguardApprovalBypassed over"] * 2


def test_a_later_change_beside_a_version_does_not_make_it_bad() -> None:
    """A version has passed; then somebody's other commit breaks the service: the version was not at fault, and goes on."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.HEALTHY, place("staging"))
    world.run()
    assert world.passage("staging").phase is Phase.PASSED
    other = world._revision()
    world.live[place("staging")] = (other, world.live[place("staging")][1])
    world.run()
    world.judge(Judged.BREACHED, place("staging"))
    world.run()
    world.judge(Judged.HEALTHY, place("staging"))
    world.run()
    assert world.passage("staging").phase is Phase.PASSED
    assert world.progress.stopped == ()


def test_the_next_version_uses_the_branch_of_one_that_was_merged() -> None:
    """Forges keep a branch whose pull request was merged: it is ours, and is used again."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.HEALTHY, place("staging"))
    world.versions = (version(2), version(1))
    world.run()
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    world.run()
    assert world.holds("staging") == "v1.2.0"
    assert world.alerts == []


def test_a_pull_request_that_conflicts_is_made_anew() -> None:
    """Others changed the same lines: the commit is made on the new head, in the same pull request."""
    world = in_production()
    number = world.passage("production").pull_number
    assert number is not None
    world.conflicting.add(number)
    world.commit(dev="v1.1.0")
    assert [type(each) for each in world.run()] == [Prepare, PushCommit, OpenPull]
    assert world.passage("production").pull_number == number
    assert world.passage("production").commits[-1].parent == world.branches["main"].head


def test_alerts_about_a_place_that_is_gone_are_over() -> None:
    """A stage is taken out of the pipeline: what was told of it is not repeated for ever."""
    world = in_staging()
    world.deploy()
    world.judge(Judged.BREACHED, place("staging"))
    world.run()
    stages = [each for each in world.pipeline.spec.stages if each.name != "staging"]
    spec = world.pipeline.spec.model_copy(update={"stages": tuple(stages)})
    world.pipeline = world.pipeline.model_copy(update={"spec": spec})
    world.run()
    assert world.alerts == ["RollguardPromotionStopped", "RollguardPromotionStopped over"]


def test_approvals_by_name_count_too() -> None:
    """An approval object stands beside a review."""
    world = in_production()
    given = Approval("production", version(1).identity, "bob", world.now)
    world.progress = replace(world.progress, approvals=(given,))
    world.run()
    assert world.holds("production") == "v1.1.0"


def test_what_is_in_git_already_is_not_written_again() -> None:
    """A new controller finds the newest version in dev: it judges it, and makes no commit."""
    world = World()
    world.commit(dev="v1.1.0")
    assert world.run() == []
    world.deploy()
    world.judge(Judged.HEALTHY, place("dev"))
    world.run()
    assert world.holds("staging") == "v1.1.0"
    assert "main" not in world.pushed


def test_nothing_goes_backwards() -> None:
    """A tag that is deleted, or an older version, never replaces a newer one."""
    world = in_staging()
    world.versions = (version(0), *())
    assert world.run() == []
    world.versions = (version(1), version(0))
    assert world.run() == []
    assert world.holds("dev") == "v1.1.0"


STEPPED = PIPELINE.replace(
    "      mode: PullRequest\n      mergeWhen: {checks: Ignored}\n",
    "      steps: [{file: envs/staging/route.yaml, path: backends.weight, values: [5, 50, 100]}]\n",
)


def test_steps_are_commits_of_their_own() -> None:
    """The version comes with the first weight; each next weight once the one before has passed."""
    world = World(pipeline(STEPPED))
    world.run()
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    weights = []
    for _ in range(3):
        world.run()
        weights.append(world.branches["main"].fields["envs/staging/route.yaml", "backends.weight"])
        world.deploy()
        assert world.run() == []
        world.judge(Judged.PASSED, place("staging"))
    world.run()
    assert weights == ["5", "50", "100"]
    assert world.passage("staging").phase is Phase.PASSED


WAVES = """
apiVersion: rollguard.dev/v1alpha1
kind: PromotionPipeline
metadata: {name: checkout, namespace: shop}
spec:
  trigger: {image: {repository: registry.example.com/shop/checkout, tagPattern: '^v(?P<version>.+)$'}}
  stages:
    - name: production
      targets:
        - {name: eu, application: {name: eu}, write: {updates: [{file: eu.yaml, path: image.tag}]}}
        - {name: us, application: {name: us}, write: {updates: [{file: us.yaml, path: image.tag}]}, after: [eu]}
"""


def test_waves_go_one_after_the_other() -> None:
    """The second region waits until the first has passed."""
    world = World(pipeline(WAVES))
    world.run()
    assert (world.holds("production/eu"), world.holds("production/us")) == ("v1.1.0", "v1.0.0")
    assert world.passage("production/us").sentence == "eu must have passed first"
    world.deploy()
    world.judge(Judged.PASSED, place("production/eu"))
    world.run()
    assert world.holds("production/us") == "v1.1.0"


@pytest.mark.parametrize(
    ("windows", "opens"),
    [
        ("{allow: ['Mon-Thu 09:00-16:00 UTC']}", "2027-01-18 09:00"),
        ("{freeze: [2027-01-10/2027-01-20]}", "2027-01-21 00:00"),
    ],
)
def test_a_closed_window_says_when_it_opens(windows: str, opens: str) -> None:
    """Outside of its window nothing lands; the sentence names the next opening."""
    declared = PIPELINE.replace(
        "      write: {updates: [{file: envs/dev/",
        f"      windows: {windows}\n      write: {{updates: [{{file: envs/dev/",
    )
    world = World(pipeline(declared))
    assert world.run() == []
    assert f"opens {opens} UTC" in world.passage("dev").sentence


def test_where_a_branch_demands_signatures_the_forge_commits() -> None:
    """The push is refused for its signature: the forge makes the same commit on the same head, without a pull request."""
    world = World()
    world.unsigned.add("main")
    world.forge_commits = ForgeCommits.DEMANDED
    assert [type(each) for each in world.run()] == [Prepare, PushCommit, CommitByForge]
    assert world.holds("dev") == "v1.1.0"
    assert world.passage("dev").landed == (world.branches["main"].head,)
    assert "main demands signed commits: the forge commits 1.1.0" in world.said


def test_where_the_settings_want_it_the_forge_makes_each_commit() -> None:
    """No push is tried first, and each further step goes the same way."""
    world = World(pipeline(STEPPED))
    world.forge_commits = ForgeCommits.ALWAYS
    assert [type(each) for each in world.run()] == [Prepare, CommitByForge]
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    for _ in range(3):
        assert [type(each) for each in world.run()] == [Prepare, CommitByForge]
        world.deploy()
        world.judge(Judged.PASSED, place("staging"))
    world.run()
    assert world.passage("staging").phase is Phase.PASSED


def test_what_the_forge_refuses_too_goes_by_pull_request() -> None:
    """A branch that takes changes by pull request alone takes none of the forge's commits either."""
    world = World()
    world.forge_commits = ForgeCommits.ALWAYS
    world.refuses.add("main")
    done = [type(each) for each in world.run()]
    assert done == [Prepare, CommitByForge, Prepare, PushCommit, OpenPull]
    assert not world.passage("dev").by_forge


def test_a_commit_of_the_forges_whose_reply_is_lost_is_found_by_its_content() -> None:
    """Nobody was told its id: the branch holds the version, so it is not made a second time."""
    world = World()
    world.forge_commits = ForgeCommits.ALWAYS
    perform = world.perform

    def lost(intent: PromotionIntent) -> PromotionEvent:
        event = perform(intent)
        unclear = isinstance(event, CommitPushed)
        return replace(event, outcome=PushOutcome(PushResult.UNCLEAR)) if unclear else event  # type: ignore[type-var]

    world.perform = lost  # type: ignore[method-assign]
    assert [type(each) for each in world.run()] == [Prepare, CommitByForge]
    assert world.passage("dev").phase is Phase.DEPLOYING
    assert world.passage("dev").landed == (world.branches["main"].head,)


def test_a_commit_that_cannot_be_pushed_any_more_is_built_again() -> None:
    """Its tree is lost with the mirror: the repository says so, and the same commit is made anew."""
    world = World()
    push, refusals = world._push, [PushOutcome(PushResult.STALE, "the mirror was made again")]
    world._push = lambda intent: refusals.pop() if refusals else push(intent)  # type: ignore[method-assign]
    assert [type(each) for each in world.run()] == [Prepare, PushCommit, Prepare, PushCommit]
    assert world.holds("dev") == "v1.1.0"


def queued() -> World:
    """A world in which version 1 stands in the merge queue of production."""
    world = in_production()
    world.queues = True
    number = world.passage("production").pull_number
    assert number is not None
    world.approve(number, "alice")
    assert [type(each) for each in world.run()] == [MergePull]
    return world


def test_what_is_in_the_merge_queue_is_not_asked_for_again() -> None:
    """It says so, waits for its turn however long that takes, and goes on once it is merged."""
    world = queued()
    number = world.passage("production").pull_number
    assert number is not None
    for _ in range(3):
        world.wait(60.0)
        assert world.run() == []
        assert world.passage("production").sentence == f"pull request {number} is in the merge queue"
    assert world.passage("production").phase is Phase.PROPOSED
    world.merge(number)
    world.run()
    assert world.passage("production").phase is Phase.DEPLOYING


def test_what_the_queue_throws_out_is_told_and_put_there_again() -> None:
    """Told once, tried later and later, and over once it is merged."""
    world = queued()
    number = world.passage("production").pull_number
    assert number is not None
    for failures in (1, 2):
        world.queue.clear()
        assert world.run() == []
        assert "is not in the merge queue any more" in world.passage("production").sentence
        assert world.passage("production").failures == failures
        assert world.run() == []
        world.wait(61.0)
        assert [type(each) for each in world.run()] == [MergePull]
    assert world.alerts == ["RollguardPromotionFailed"]
    world.merge(number)
    world.run()
    assert world.alerts[-1] == "RollguardPromotionFailed over"


def test_a_freeze_takes_it_out_of_the_queue() -> None:
    """Nothing goes forward while the line is stopped; thawed, it is put there again, and nobody is alarmed."""
    world = queued()
    world.progress = replace(world.progress, freezes=(Freeze("dora", 0.0, "incident 7"),))
    assert [type(each) for each in world.run()] == [LeaveQueue]
    assert world.queue == set()
    assert "dora stopped the line" in world.passage("production").sentence
    world.progress = replace(world.progress, freezes=())
    assert [type(each) for each in world.run()] == [MergePull]
    assert world.alerts == []
