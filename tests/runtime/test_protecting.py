"""Locked configuration on Git in memory, with a forge in memory: who is told what, what is put back, and what never is."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import yaml

from controller.adapters.manifests import ManifestText
from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.git import BuiltCommit, CommitIdentity, PushResult
from controller.core.policy import Scope
from controller.core.promotion.asking import approve, drop_old
from controller.core.promotion.facts import Facts
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Passage, Phase, Place, Progress, dump_progress, load_progress
from controller.core.promotion.version import Version
from controller.core.state import Origin, Rollback, Rollout, Stage, Way
from controller.ports.forge import ForgeUnavailable
from controller.runtime.promotion_facts import PromotionPorts
from controller.runtime.protecting import Protecting
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import ForgeState, StoredPull
from tests.fakes.manual_clock import ManualClock
from tests.fakes.repository import InMemoryRemote, InMemoryRepository

URL = "https://git.example.com/shop/manifests.git"
FILE = "envs/production/values.yaml"
ROUTE = "envs/production/route.yaml"
PRODUCTION = Place("production")
KEY = ApplicationKey("shop", "checkout")
PIPELINE = f"""
apiVersion: rollguard.dev/v1alpha1
kind: PromotionPipeline
metadata: {{name: checkout, namespace: shop}}
spec:
  trigger: {{image: {{repository: registry.example.com/shop/checkout, tagPattern: '^v(?P<version>.+)$'}}}}
  stages:
    - name: production
      application: {{name: checkout}}
      write: {{updates: [{{file: {FILE}, path: image.tag}}]}}
      approvals: {{minimum: 1, from: [ann, bob]}}
      locked:
        - {{file: {FILE}, fields: [replicas, resources.limits, image.tag, debug]}}
        - {{paths: [{ROUTE}]}}
      onLockedChange: Restore
"""


def values(replicas: object = 2, cpu: str = "500m", tag: str = "v1", debug: str = "false", more: str = "") -> str:
    """The stage's file."""
    return (
        f"# asks the shop team\nreplicas: {replicas}   # two are enough\nresources: {{limits: {{cpu: {cpu}}}}}\n"
        f"image: {{tag: {tag}}}\ndebug: {debug}\nlabel: {more or 'none'}\n"
    )


@dataclass
class World:
    """A repository, its forge, and the guard of a pipeline's locked configuration."""

    remote: InMemoryRemote = field(default_factory=InMemoryRemote)
    state: ForgeState = field(default_factory=ForgeState)
    clock: ManualClock = field(default_factory=ManualClock)
    pipeline: PromotionPipeline = field(
        default_factory=lambda: PromotionPipeline.model_validate(yaml.safe_load(PIPELINE))
    )
    leads: bool = True
    rollback: Rollback | None = None
    """What the guard restores."""

    def __post_init__(self) -> None:
        self.first = self.remote.commit({FILE: values(), ROUTE: "weight: 5\n", "envs/dev/x": "x"}, "Begin")
        self.forge = InMemoryForge(self.state)
        self.progress = Progress(KEY)
        self.alerts: list[Any] = []
        source = GitSource(URL, "main", ("envs/production",))
        ports = PromotionPorts(
            repositories={URL: InMemoryRepository(self.remote)},
            forge=lambda _url: self.forge,
            manifests=ManifestText(),
            rollout=lambda key: Rollout(Application(key, source), rollback=self.rollback),
            paused=lambda _key: False,
            may_promote=lambda _key, _application: "",
        )
        self.protecting = Protecting(ports, CommitIdentity(), self.clock, lambda: self.leads)
        self.look()

    def keep(self, move: Move) -> None:
        """Persist a move, by way of its text."""
        self.progress = load_progress(dump_progress(move.progress))
        assert self.progress == move.progress
        self.alerts.extend(move.alerts)

    def look(self, times: int = 1) -> None:
        """Look at the branch."""
        for _ in range(times):
            self.protecting.look(self.pipeline, lambda: self.progress, self.keep)

    def commit(self, text: str | None = None, **more: Any) -> Revision:
        """Somebody pushes a change of the stage's file."""
        return Revision(self.remote.commit({FILE: text} if text is not None else more.pop("files"), "Tune", **more))

    def text(self, path: str = FILE) -> str:
        """What the branch holds."""
        return self.remote.files()[path].decode()

    def merged(self, revision: Revision, *approvals: str, by: str = "cat") -> StoredPull:
        """The forge knows that a pull request brought the commit in, with these approvals of its head."""
        self.state.commit("main", {"a": "a"}, by="ann")
        head = self.state.commit("tune", {"a": revision}, by=by)
        pull = self.state.open("tune", "main", "Tune", "", by)
        for each in approvals:
            self.state.review(pull.number, each, "approved")
        pull.state, pull.merged_as, pull.head = "merged", revision, head
        return pull

    def told(self) -> list[tuple[str, bool]]:
        """Each alert's commit, and whether it is over."""
        return [(each.objective, each.ended_at is not None) for each in self.alerts]

    @property
    def pushes(self) -> int:
        """How many commits were put on top."""
        return len(self.remote.pushes)


@pytest.fixture
def world() -> World:
    """A place that was looked at once."""
    return World()


def test_what_was_there_before_is_no_offence(world: World) -> None:
    """The first look begins at the head; looking again does nothing."""
    world.look(3)
    assert (world.pushes, world.told()) == (0, [])


def test_a_push_is_told_and_put_back_in_the_locked_fields_alone(world: World) -> None:
    """Replicas are what they were; the label that came in the same commit stays, and so do comments and order."""
    offence = world.commit(values(replicas=9, more="new"), author="Mallory <m@example.com>")
    world.look()
    assert world.text() == values(more="new")
    assert world.told() == [(offence[:12], False)]
    (alert,) = world.alerts
    assert "Mallory changed what is locked in production: envs/production/values.yaml replicas" in alert.summary
    assert "it came by no pull request" in alert.description
    world.look()
    assert world.told()[-1] == (offence[:12], True)
    world.look(3)
    assert world.pushes == 1
    message = world.remote.commits[world.remote.head()].message
    assert message.startswith("Put back what is locked in production of checkout\n")
    assert f"Rollguard-Put-Back-Of: {offence}" in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (values(), values(debug="true")),
        (values(), values(cpu="4", more="x")),
        (values(), values().replace("replicas: 2   # two are enough\n", "")),
        (values(), values().replace("limits: {cpu: 500m}", "limits: {cpu: 500m, memory: 9Gi}")),
    ],
    ids=["a boolean", "one of two", "a field that was removed", "a field that was added"],
)
def test_each_kind_of_change_is_put_back(world: World, old: str, new: str) -> None:
    """By the file as it was where nothing else differs, else field by field."""
    world.commit(new)
    world.look(2)
    assert world.text().replace("label: x", "label: none") == old


def test_a_whole_file_is_put_back(world: World) -> None:
    """Changed or removed; other files of the commit stay changed."""
    for text in ("weight: 100\n", None):
        world.commit(files={ROUTE: text, "envs/production/other.yaml": f"is: {text}\n"})
        world.look(2)
        assert world.text(ROUTE) == "weight: 5\n"
        assert "other.yaml" in str(world.remote.files())
    assert world.pushes == 2


def test_who_lands_it_again_is_left_alone(world: World) -> None:
    """The same value is put back once: the second time people are told, and it stays."""
    world.commit(values(replicas=9))
    world.look(2)
    again = world.commit(values(replicas=9))
    world.look(3)
    assert world.text() == values(replicas=9)
    assert world.told()[-1] == (again[:12], False)
    assert "It was put back before" in world.alerts[-1].description
    assert world.pushes == 1


def test_alert_changes_nothing(world: World) -> None:
    """The default: told once, and over when somebody takes it back."""
    stage = world.pipeline.spec.stages[0].model_copy(update={"on_locked_change": "Alert"})
    world.pipeline = world.pipeline.model_copy(
        update={"spec": world.pipeline.spec.model_copy(update={"stages": (stage,)})}
    )
    offence = world.commit(values(replicas=9))
    world.look(3)
    assert (world.pushes, world.told()) == (0, [(offence[:12], False)])
    world.commit(values())
    world.look(2)
    assert world.told() == [(offence[:12], False), (offence[:12], True)]


def test_a_merged_pull_request_with_approvals_may(world: World) -> None:
    """By somebody who may approve, and did not write it."""
    world.merged(world.commit(values(replicas=4)), "ann", by="cat")
    world.look(2)
    assert (world.text(), world.told()) == (values(replicas=4), [])


@pytest.mark.parametrize(("approvals", "by"), [((), "cat"), (("cat",), "dan"), (("ann",), "ann")])
def test_a_pull_request_without_its_approvals_may_not(world: World, approvals: tuple[str, ...], by: str) -> None:
    """Nobody approved, somebody who may not, or the one who wrote it."""
    world.merged(world.commit(values(replicas=4)), *approvals, by=by)
    world.look()
    assert world.text() == values()
    assert len(world.told()) == 1


def test_a_pull_request_into_another_branch_says_nothing(world: World) -> None:
    """Its approvals were given for something else."""
    pull = world.merged(world.commit(values(replicas=4)), "ann")
    pull.base = "other"
    world.look()
    assert world.text() == values()


def test_approvals_given_later_end_the_alert(world: World) -> None:
    """Somebody approves the commit by name after it was told."""
    world.leads = False
    offence = world.commit(values(replicas=4))
    world.state.commits[offence] = world.state.commits[world.state.commit("main", {"b": "b"}, by="cat")]
    world.look()
    assert world.told() == [(offence[:12], False)]
    asked = Move(world.pipeline, world.progress, Facts(), 1.0)
    world.keep(drop_old(approve(asked, "production", offence, "ann")))
    assert [each.identity for each in world.progress.approvals] == [offence]
    assert approve(asked, "production", "f" * 40, "ann").progress.approvals == ()
    world.leads = True
    world.look()
    assert world.told()[-1] == (offence[:12], True)
    assert world.text() == values(replicas=4)


def test_a_forge_that_does_not_answer_is_waited_for(world: World) -> None:
    """People are told, nothing is put back, and once it answers it is decided."""
    offence = world.commit(values(replicas=9))
    world.forge.down = ForgeUnavailable("the forge is down")
    world.look(3)
    assert (world.pushes, world.told()) == (0, [(offence[:12], False)])
    assert "cannot be told" in world.alerts[0].description
    world.forge.down = None
    world.look()
    assert world.text() == values()


def test_a_forge_that_says_later_that_it_was_approved_ends_the_alert(world: World) -> None:
    """Told while it did not answer, over once it does; nothing was changed."""
    offence = world.commit(values(replicas=4))
    world.merged(offence, "ann")
    world.forge.down = ForgeUnavailable("the forge is down")
    world.look()
    world.forge.down = None
    world.look(2)
    assert world.told() == [(offence[:12], False), (offence[:12], True)]
    assert (world.text(), world.pushes) == (values(replicas=4), 0)


def test_rollguards_own_commits_are_exempt(world: World) -> None:
    """By the ids that are recorded before the push, never by what a commit says of itself."""
    promoted = world.commit(values(tag="v2"))
    version = Version("2", "v2")
    commit = BuiltCommit(promoted, Revision(world.first), "tree", "data")
    passage = Passage(PRODUCTION, version, 0.0, Phase.DEPLOYING, commits=(commit,), landed=(promoted,))
    world.progress = world.progress.with_passage(passage)
    world.look(2)
    assert (world.text(), world.told()) == (values(tag="v2"), [])
    forged = world.commit(values(tag="v3"), trailers=[("Rollguard-Pipeline", "shop/checkout")])
    world.look()
    assert (world.text(), world.told()) == (values(tag="v2"), [(forged[:12], False)])


def test_a_commit_that_the_forge_made_for_us_is_exempt(world: World) -> None:
    """Nobody was told its id: on the recorded parent, with the recorded files and no others, it is ours; more is not."""
    head = Revision(world.remote.head())
    tree = InMemoryRepository(world.remote).write(head, {FILE: values(tag="v2").encode()}).tree
    commit = BuiltCommit(Revision("c" * 40), head, tree, "data")
    passage = Passage(PRODUCTION, Version("2", "v2"), 0.0, Phase.DEPLOYING, by_forge=True, commits=(commit,))
    world.progress = world.progress.with_passage(passage)
    world.commit(values(tag="v2"), author="GitHub <noreply@github.com>")
    world.look(2)
    assert (world.text(), world.told()) == (values(tag="v2"), [])
    world.remote.move("main", head)
    world.progress = Progress(KEY)
    world.look()
    world.progress = world.progress.with_passage(passage)
    world.commit(values(tag="v2", replicas=50))
    world.look()
    assert world.text() == values()


def test_a_person_who_deploys_a_version_by_hand_is_not_exempt(world: World) -> None:
    """The pipeline takes what it finds in the branch for the version's landing, and that makes nobody's commit its own."""
    by_hand = world.commit(values(tag="v2", replicas=50))
    passage = Passage(PRODUCTION, Version("2", "v2"), 0.0, Phase.DEPLOYING, landed=(by_hand,))
    world.progress = world.progress.with_passage(passage)
    world.look()
    assert (world.text(), world.told()) == (values(), [(by_hand[:12], False)])


def test_a_promotion_is_known_as_our_own_when_the_next_one_is_under_way(world: World) -> None:
    """While the forge does not answer about somebody else's commit, two versions go through: neither is an offence."""
    world.forge.down = ForgeUnavailable("the forge is down")
    world.commit(values(cpu="1"))
    world.look()
    for number in (2, 3):
        head = Revision(world.remote.head())
        promoted = world.commit(values(tag=f"v{number}", cpu="1"))
        commit = BuiltCommit(promoted, head, "tree", "data")
        version = Version(str(number), f"v{number}")
        world.progress = world.progress.with_passage(
            Passage(PRODUCTION, version, 0.0, Phase.DEPLOYING, commits=(commit,))
        )
    world.forge.down = None
    world.look(2)
    assert world.text() == values(tag="v3")


def test_the_guards_restores_are_exempt_also_later(world: World) -> None:
    """What it recorded as its own restore stays that, when it has begun another one."""
    world.forge.down = ForgeUnavailable("the forge is down")
    world.commit(values(cpu="1"))
    for tag in ("v0", "v1"):
        world.rollback = a_rollback(world.commit(values(tag=tag, cpu="1")))
        world.look()
    world.rollback = None
    world.forge.down = None
    world.look()
    assert world.text() == values()
    assert len(world.told()) == 1


def test_a_restore_that_the_forge_made_is_exempt(world: World) -> None:
    """Its reply was lost, so its id is not known: its parent and its files are those of the commit that was recorded."""
    before = Revision(world.remote.head())
    world.forge.down = ForgeUnavailable("the forge is down")
    bad = world.commit(values(tag="v9"))
    tree = InMemoryRepository(world.remote).write(bad, {FILE: values(tag="v0").encode()}).tree
    world.rollback = replace(a_rollback(before), built=(BuiltCommit(Revision("c" * 40), bad, tree, "data"),))
    made = world.commit(values(tag="v0"), author="GitHub <noreply@github.com>")
    world.look(2)
    assert world.text() == values(tag="v0")
    assert made[:12] not in {commit for commit, _ in world.told()}


def a_rollback(revision: Revision) -> Rollback:
    """A restore that was pushed."""
    bad, content = Revision("b" * 40), Content(())
    return Rollback(
        origin=Origin.VERDICT,
        target=bad,
        target_content=content,
        live=bad,
        way=Way.PUSH,
        scope=Scope.APPLICATION_PATHS,
        decided_at=0.0,
        stage=Stage.DONE,
        built=(BuiltCommit(revision, bad, "tree", "data"),),
        branch="main",
    )


def test_a_merge_of_our_own_branch_is_exempt_as_far_as_it_is_ours(world: World) -> None:
    """A person merges the promotion's branch; a merge that changes more of what is locked is not ours."""
    base = world.remote.head()
    ours = world.remote.commit({FILE: values(tag="v2")}, "Promote", branch="rollguard/promote", parents=[base])
    commit = BuiltCommit(Revision(ours), Revision(base), "tree", "data")
    world.progress = world.progress.with_passage(
        Passage(PRODUCTION, Version("2", "v2"), 0.0, Phase.PROPOSED, commits=(commit,))
    )
    world.remote.merge(ours, {FILE: values(tag="v2")})
    world.look()
    assert (world.text(), world.told()) == (values(tag="v2"), [])
    world.remote.merge(ours, {FILE: values(tag="v2", replicas=50)})
    world.look()
    assert world.text() == values(tag="v2")


def test_other_files_and_fields_are_free(world: World) -> None:
    """What is not locked, or belongs to another environment, is nobody's business here."""
    world.commit(values(more="free"))
    world.commit(files={"envs/dev/x": "y"})
    world.look(2)
    assert (world.pushes, world.told()) == (0, [])


def test_a_race_loses_nothing(world: World) -> None:
    """Somebody pushes at the same moment: the next look builds on the new head."""
    world.commit(values(replicas=9))
    world.remote.before_push = lambda: world.commit(values(replicas=9, more="meanwhile"))
    world.look()
    assert world.text() == values(replicas=9, more="meanwhile")
    world.look()
    assert world.text() == values(more="meanwhile")


def test_a_lost_reply_doubles_nothing(world: World) -> None:
    """The push was taken and its answer lost: the next look finds it, and who lands the change again is left alone."""
    world.commit(values(replicas=9))
    world.remote.loses_reply = True
    world.look(3)
    assert (world.text(), world.pushes) == (values(), 1)
    world.commit(values(replicas=9))
    world.look(2)
    assert (world.text(), world.pushes) == (values(replicas=9), 1)


def test_a_branch_that_takes_no_push_leaves_it_to_people(world: World) -> None:
    """Told with the reason, and not tried again and again."""
    world.commit(values(replicas=9))
    world.remote.refuses = PushResult.PROTECTED
    world.look(3)
    assert world.text() == values(replicas=9)
    assert "the branch takes no pushes" in world.alerts[-1].description
    tries = len(world.progress.guarded[0].putting_back)
    world.look(3)
    assert len(world.progress.guarded[0].putting_back) == tries


def test_a_file_that_cannot_be_read_is_told_and_left(world: World) -> None:
    """It counts as changed, whatever is in it."""
    offence = world.commit("replicas: [\n")
    world.look(2)
    assert (world.pushes, world.told()) == (0, [(offence[:12], False)])


def test_an_added_file_is_told_and_left(world: World) -> None:
    """Removing is not for a machine: it says so."""
    world.remote.commit({ROUTE: None}, "Remove")
    world.progress = Progress(KEY)
    world.look()
    world.commit(files={ROUTE: "weight: 1\n"})
    world.look(2)
    assert world.pushes == 0
    assert "would have to be removed" in world.alerts[-1].description


def test_a_branch_that_was_moved_by_force_is_told(world: World) -> None:
    """What is locked is other than it was: told, and left to people."""
    world.merged(world.commit(values(replicas=4)), "ann")
    world.look()
    world.remote.move("main", world.first)
    world.look(2)
    assert world.pushes == 0
    assert [over for _, over in world.told()] == [False]
    assert "moved by force" in world.alerts[-1].description


def test_who_does_not_lead_pushes_nothing(world: World) -> None:
    """It is put back by whoever leads then."""
    world.leads = False
    world.commit(values(replicas=9))
    world.look(2)
    assert world.pushes == 0
    world.leads = True
    world.look()
    assert world.text() == values()


def test_what_is_unlocked_ends_its_alerts(world: World) -> None:
    """The owner takes the lock away."""
    world.leads = False
    offence = world.commit(values(replicas=9))
    world.look()
    stage = world.pipeline.spec.stages[0].model_copy(update={"locked": ()})
    world.pipeline = world.pipeline.model_copy(
        update={"spec": world.pipeline.spec.model_copy(update={"stages": (stage,)})}
    )
    world.look()
    assert world.told() == [(offence[:12], False), (offence[:12], True)]
    assert world.progress.guarded == ()


def test_the_kept_progress_is_all_that_is_needed(world: World) -> None:
    """A crash after the commit was written down and before it was pushed: the next look does it, once."""
    world.commit(values(replicas=9))
    kept: list[Move] = []

    def dying(move: Move) -> None:
        world.keep(move)
        kept.append(move)
        if move.progress.guarded and move.progress.guarded[0].putting_back:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.protecting.look(world.pipeline, lambda: world.progress, dying)
    assert world.pushes == 0
    world.look(3)
    assert (world.text(), world.pushes) == (values(), 1)
