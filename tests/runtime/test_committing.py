"""Restores whose commit the forge makes: on Git in memory, and on real Git with a branch that wants signatures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.adapters.repository import GitRepository
from controller.core.application import Revision
from controller.core.events import Pushed, PushWithheld
from controller.core.git import BuiltCommit, CommitIdentity, PushResult, RestoreRequest
from controller.core.intents import Push
from controller.core.state import Stage, Way
from controller.ports.forge import ForgeDenied, ForgeError, ForgeUnavailable
from controller.runtime.committing import Committing, pushed
from tests.fakes.committing_forge import CommittingForge
from tests.runtime.parts import Bench
from tests.servers.git import GitRemote, Raw

FILE = "apps/checkout/app.yaml"


def bench(*, always: bool = False, signed: bool = True) -> tuple[Bench, CommittingForge]:
    """A guarded application, whose branch takes signed commits alone."""
    made = Bench()
    forge = CommittingForge(made.remote)
    made.committing = Committing(forge, always=always)
    if signed:
        made.remote.refuses = PushResult.SIGNATURE
    return made.guard(), forge


def holds(made: Bench) -> str:
    """What the branch says."""
    return made.remote.files()[FILE].decode()


@pytest.mark.parametrize("always", [False, True])
def test_the_forge_makes_the_restore(always: bool) -> None:
    """Under an id of its own on the very head, with the trailers; its deployment is known as the restore that it is."""
    made, forge = bench(always=always)
    bad = made.breach()
    made.lanes.run()
    rollback = made.rollout().rollback
    assert rollback is not None
    assert (rollback.stage, rollback.way, rollback.revision) == (Stage.DONE, Way.PUSH, made.remote.head())
    assert holds(made) == "version: one\n"
    (commit,) = forge.made
    assert commit.expected_head == bad
    assert commit.headline
    assert "\n" not in commit.headline
    assert "Rollguard-Rollback-Of" in commit.body
    assert rollback.made(Revision(made.remote.head()))
    assert "RollguardRolledBack" in made.told()
    made.metrics.share = 0.0
    made.report(made.remote.head())
    analysis = made.rollout().analysis
    assert analysis is not None
    assert analysis.kind.value == "Recovery"
    assert len(forge.made) == 1


def test_a_lost_reply_doubles_nothing() -> None:
    """Nobody was told the id: the branch holds the restored manifests, and that is the end of it."""
    made, forge = bench()
    forge.lost = 1
    made.breach()
    made.pass_time(60)
    rollback = made.rollout().rollback
    assert rollback is not None
    assert rollback.was_restored
    assert (len(forge.made), holds(made)) == (1, "version: one\n")


def test_a_head_that_moved_is_not_committed_on() -> None:
    """Somebody pushes at the same moment: the restore is built on the new head, and nothing of theirs is lost."""
    made, forge = bench()
    forge.before = lambda: made.remote.commit({"other/x.yaml": "a: b\n"}, "Meanwhile")
    made.breach()
    made.pass_time(60)
    assert (len(forge.made), holds(made)) == (1, "version: one\n")
    assert made.remote.files()["other/x.yaml"] == b"a: b\n"


@pytest.mark.parametrize("error", [ForgeDenied("the token may not"), ForgeUnavailable("away")])
def test_what_the_forge_cannot_do_goes_as_without_it(error: ForgeError) -> None:
    """Signatures demanded: a branch of ours for a pull request. Else Git pushes it: a restore waits for no forge."""
    made, forge = bench()
    forge.down = error
    made.breach()
    made.pass_time(30)
    rollback = made.rollout().rollback
    assert rollback is not None
    assert rollback.way is Way.PULL_REQUEST
    assert holds(made) == "version: two\n"
    made, forge = bench(always=True, signed=False)
    forge.down = error
    made.breach()
    made.lanes.run()
    assert (forge.made, holds(made)) == ([], "version: one\n")
    assert len(made.restores()) == 1


@pytest.mark.parametrize("refusal", [PushResult.PROTECTED, PushResult.PUSH_RULE, PushResult.SIGNATURE])
def test_what_the_forge_refuses_too_is_offered(refusal: PushResult) -> None:
    """The branch takes changes by pull request alone."""
    made, forge = bench()
    forge.refuses = refusal
    made.breach()
    made.pass_time(30)
    rollback = made.rollout().rollback
    assert rollback is not None
    assert (rollback.stage, rollback.way) == (Stage.DONE, Way.PULL_REQUEST)
    assert "the branch refuses the push (Signature" in rollback.why_not_push


def test_a_branch_that_takes_pushes_is_pushed_to() -> None:
    """The forge is asked for nothing."""
    made, forge = bench(signed=False)
    made.breach()
    made.lanes.run()
    assert (forge.made, len(made.restores()), holds(made)) == ([], 1, "version: one\n")


Story = Callable[[dict[str, str | Raw | None], dict[str, str | Raw | None]], tuple[GitRepository, Push, GitRemote]]


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A restore from one version to another on real Git, whose server wants signed commits."""

    def tell(
        good: dict[str, str | Raw | None], bad: dict[str, str | Raw | None]
    ) -> tuple[GitRepository, Push, GitRemote]:
        remote = GitRemote(tmp_path / "remote.git")
        first, second = Revision(remote.commit(good)), Revision(remote.commit(bad))
        remote.hook("pre-receive", "echo 'error: Commits must have verified signatures.' >&2; exit 1\n")
        repository = GitRepository(remote.url, mirror_root=tmp_path / "mirrors")
        facts = repository.inspect(RestoreRequest("main", ("app",), first, second))
        assert facts.tree is not None
        commit = repository.build(
            parent=facts.head, tree=facts.tree, message="Roll back\n\nRe: it\n", identity=CommitIdentity(), at=1.0
        )
        return repository, Push(commit, "main", commit.parent, None, "Roll back\n\nRe: it\n"), remote

    return tell


def tree_of(repository: GitRepository, revision: Revision, commit: BuiltCommit) -> str:
    """What differs between a commit and the one that was built."""
    repository.fetch("main")
    return repository.diff(revision, commit.tree)


def test_on_real_git_the_forges_commit_has_the_very_tree(story: Story) -> None:
    """Changed, added and deleted files, in one commit on the head; the message is whole."""
    good: dict[str, str | Raw | None] = {"app/a.yaml": "v: 1\n", "app/gone.yaml": "x: 1\n", "other.yaml": "o: 1\n"}
    repository, intent, remote = story(good, {"app/a.yaml": "v: 2\n", "app/gone.yaml": None, "app/new.yaml": "n\n"})
    forge = CommittingForge(remote)
    event = pushed(repository, Committing(forge), intent, lambda: True)
    assert isinstance(event, Pushed)
    assert (event.outcome.result, event.made) == (PushResult.PUSHED, remote.head())
    assert event.made is not None
    assert tree_of(repository, event.made, intent.commit) == ""
    assert {each.path: each.content for each in forge.made[0].changes} == {
        "app/a.yaml": b"v: 1\n",
        "app/gone.yaml": b"x: 1\n",
        "app/new.yaml": None,
    }
    assert (forge.made[0].headline, forge.made[0].body) == ("Roll back", "Re: it")


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (Raw(b"#!/bin/sh\n", "100755"), Raw(b"#!/bin/sh\n", "100644")),
        (Raw(b"#!/bin/sh\n", "100755"), Raw(b"#!/bin/sh\nx\n", "100755")),
        (Raw(b"#!/bin/sh\n", "100755"), None),
        (Raw(b"a.yaml", "120000"), Raw(b"b.yaml", "120000")),
        ("x\n" * 40_000, "y\n" * 40_000),
    ],
    ids=["its mode", "an executable", "an executable that is gone", "a link", "more than is compared"],
)
def test_what_is_more_than_plain_files_is_left_to_git(story: Story, was: Raw | str, now: Raw | str | None) -> None:
    """A forge writes plain files: nothing is committed that differs from what was decided."""
    repository, intent, remote = story({"app/a.yaml": "v: 1\n", "app/run": was}, {"app/run": now})
    forge = CommittingForge(remote)
    event = pushed(repository, Committing(forge), intent, lambda: True)
    assert isinstance(event, Pushed)
    assert (event.outcome.result, forge.made) == (PushResult.SIGNATURE, [])


def test_who_may_no_more_tries_no_second_way(story: Story) -> None:
    """The first has taken its time: leadership may be lost by now."""
    repository, intent, remote = story({"app/a.yaml": "v: 1\n"}, {"app/a.yaml": "v: 2\n"})
    forge = CommittingForge(remote)
    event = pushed(repository, Committing(forge), intent, lambda: False)
    assert isinstance(event, Pushed)
    assert (event.outcome.result, forge.made) == (PushResult.SIGNATURE, [])
    forge.down = ForgeUnavailable("away")
    event = pushed(repository, Committing(forge, always=True), intent, lambda: False)
    assert event == PushWithheld(intent.commit.revision)
